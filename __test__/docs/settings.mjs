// The settings in which the documentation's blocks run. Each makes the names that its blocks take for granted, and gives
// what happens after the block: the other side of the conversation, and a look at what came of it.
import assert from "node:assert/strict";
import * as cloud from "@sideband/cloud";
import { computeFingerprint } from "@sideband/cloud/secure-relay";
import { deferred, reached } from "../support/wait.mjs";

const { connect, createMemoryIdentityKeyStore, generateIdentityKeyPair, listen } = cloud;
const { SIDEBAND_ACCESS_TOKEN, SIDEBAND_API_KEY, SIDEBAND_API_URL, SIDEBAND_DAEMON_ID, SIDEBAND_RELAY_URL } = process.env;

const apiKey = SIDEBAND_API_KEY;
const daemonId = SIDEBAND_DAEMON_ID;
const identityKeyPair = generateIdentityKeyPair();
const getAccessToken = () => SIDEBAND_ACCESS_TOKEN;

/** Makes names that the block finds as globals. */
function provide(names) {
  Object.assign(globalThis, names);
}

/** One request to the relay's admin interface. */
async function admin(method, route) {
  const headers = { authorization: `Bearer ${process.env.ADMIN_TOKEN}` };
  const response = await fetch(`${SIDEBAND_API_URL}/admin/${route}`, { method, headers });
  assert.ok(response.ok, `${method} ${route}: ${response.status}`);
  return response.headers.get("content-length") === "0" ? undefined : response.text();
}

const cutDaemon = () => admin("POST", `daemons/${daemonId}/disconnect`);

/** What the daemons of these settings answer. */
function serve(remote) {
  remote.rpc.handle("ping", () => "pong");
  remote.rpc.handle("never", () => new Promise(() => {}));
  remote.rpc.handle("tasks.get", ({ id }) => ({ id, title: "write docs" }));
  remote.events.on("tasks.touch", ({ id }) => remote.events.emit("tasks.changed", { id }));
  remote.rpc.handle("divide", ({ a, b }) => {
    const details = { wireCode: 2001, data: { dividend: a } };
    if (b === 0) throw new cloud.RpcPeerError("rpc_error", "division by zero", { details });
    return a / b;
  });
}

/** A daemon, and the clients it has met. */
async function daemon(onConnection = serve) {
  const met = deferred();
  const server = await listen({
    apiKey,
    identityKeyPair,
    onConnection(remote) {
      onConnection(remote);
      met.resolve(remote);
    },
  });
  return { server, met: met.promise };
}

function client(options) {
  const peer = connect({ daemonId, getAccessToken, identityKeyStore: createMemoryIdentityKeyStore(), ...options });
  peer.rpc.handle("version", () => "1.2.3");
  peer.rpc.handle("whoAreYou", () => "ada");
  return peer;
}

async function ready(options) {
  const peer = client(options);
  await peer.whenReady();
  return peer;
}

/** A token of the self-hosted programs' own issuer, which here is the relay's control plane. */
async function token(procedure, credential, input, field) {
  const response = await fetch(`${SIDEBAND_API_URL}/api/trpc/${procedure}`, {
    method: "POST",
    headers: { authorization: `Bearer ${credential}`, "content-type": "application/json" },
    body: JSON.stringify(input),
  });
  assert.ok(response.ok, `${procedure}: ${response.status}`);
  return (await response.json()).result.data[field];
}

const selfHosted = {
  relayUrl: SIDEBAND_RELAY_URL,
  identityKeyPair,
  confirm: () => true,
  createPresenceToken: () => token("daemon.renewToken", apiKey, null, "presenceToken"),
  createSessionToken: () => token("relay.createSession", SIDEBAND_ACCESS_TOKEN, { daemonId }, "token"),
};

export const settings = {
  alone() {},

  daemon() {
    provide({ loadOrCreateIdentity: async () => identityKeyPair });
    return async () => assert.equal(await (await ready()).rpc.call("ping"), "pong");
  },

  "daemon without a network"() {
    const unreachable = { apiUrl: "http://127.0.0.1:9", onUnhandledError() {} };
    provide({ apiKey, identityKeyPair, onConnection() {}, listen: (options) => listen({ ...unreachable, ...options }) });
  },

  "onConnection calls first"() {
    provide({ apiKey, identityKeyPair, listen, tasks: new Map([["ada", ["write docs"]]]) });
    return async () => {
      const peer = client();
      peer.events.emit("tasks.seen", 1);
      assert.deepEqual(await peer.rpc.call("tasks.list"), ["write docs"]);
    };
  },

  async "a handler's error"() {
    const { met } = await daemon(() => {});
    const peer = await ready();
    provide({ peer: await met });
    return async () => {
      assert.equal(await peer.rpc.call("divide", { a: 6, b: 3 }), 2);
      await assert.rejects(peer.rpc.call("divide", { a: 6, b: 0 }), {
        code: "rpc_error",
        message: "division by zero",
        details: { wireCode: 2001, data: { dividend: 6 } },
      });
    };
  },

  async server() {
    const { server } = await daemon();
    provide({ server });
  },

  async broadcast() {
    const { server, met } = await daemon();
    const peer = client();
    const told = new Promise((resolve) => peer.events.on("maintenance", resolve));
    await met;
    provide({ server });
    return async () => assert.deepEqual(await told, { inSeconds: 30 });
  },

  async "a link drops"() {
    const { met } = await daemon();
    await ready();
    const peer = await met;
    provide({ peer });
    return async () => {
      const paused = reached(peer, "paused");
      await cutDaemon();
      await paused;
      await reached(peer, "active");
    };
  },

  async closing() {
    const { server, met } = await daemon();
    const peer = await ready();
    await met;
    provide({ server });
    return async () => {
      const left = reached(peer, "reconnecting");
      process.emit("SIGTERM");
      await left;
      assert.equal(server.connections.size, 0);
    };
  },

  async client() {
    await daemon();
    const { publicKey: daemonPublicKey } = identityKeyPair;
    const identityKeyStore = createMemoryIdentityKeyStore();
    provide({ connect, createMemoryIdentityKeyStore, daemonId, daemonPublicKey, getAccessToken, identityKeyStore });
  },

  async "client's peer"() {
    await daemon();
    provide({ peer: await ready() });
  },

  async "a client reconnects"() {
    await daemon();
    const peer = await ready({ retryPolicy: { initialDelayMs: 1 } });
    provide({ peer });
    return async () => {
      const [{ sessionId }] = JSON.parse(await admin("GET", "sessions")).filter((one) => one.daemonId === daemonId);
      const left = reached(peer, "reconnecting");
      await admin("POST", `sessions/${sessionId}/disconnect`);
      await left;
      await peer.whenReady();
    };
  },

  async "quick connect"() {
    const { server } = await daemon();
    const { code } = await server.createQuickConnect();
    provide({ connect, createMemoryIdentityKeyStore, code });
  },

  async "a refusal"() {
    await daemon();
    const identityKeyStore = createMemoryIdentityKeyStore();
    const expectedFingerprint = computeFingerprint(generateIdentityKeyPair().publicKey);
    provide({ connect, daemonId, getAccessToken, identityKeyStore, expectedFingerprint });
    return async () => assert.deepEqual(await identityKeyStore.list(), []);
  },

  async "a store of one's own"() {
    await daemon();
    const rows = new Map();
    const db = {
      find: async (id) => rows.get(id),
      save: async (id, row) => void rows.set(id, row),
      remove: async (id) => void rows.delete(id),
    };
    provide({ connect, daemonId, getAccessToken, db });
  },

  "self-hosted daemon"() {
    provide(selfHosted);
    return async () => assert.equal(await (await ready()).rpc.call("ping"), "pong");
  },

  async "self-hosted client"() {
    await daemon();
    provide(selfHosted);
  },
};
