// What every runtime must be able to do, told step by step on standard output. Runs on Node, Bun and Deno; the relay is
// somebody else's.
import assert from "node:assert/strict";
import { inspect } from "node:util";
import {
  CloudApiError,
  connect,
  createMemoryIdentityKeyStore,
  generateIdentityKeyPair,
  listen,
  PeerError,
  RpcPeerError,
} from "@sideband/cloud";
import { createPeer } from "@sideband/cloud/peer";
import { listen as listenDirect } from "@sideband/cloud/peer/server";

const { API_URL, RELAY_URL, API_KEY, DAEMON_ID, ACCESS_TOKEN, ADMIN_TOKEN, END } = process.env;
const done = (step) => console.log(`ok ${step}`);

function reached(peer, state) {
  return new Promise((resolve) => {
    if (peer.state === state) resolve();
    else peer.on("stateChange", (change) => change.state === state && resolve());
  });
}

const remotes = [];
const server = await listen({
  apiKey: API_KEY,
  apiUrl: API_URL,
  relayUrl: RELAY_URL,
  identityKeyPair: generateIdentityKeyPair(),
  onConnection(remote) {
    remotes.push(remote);
    remote.rpc.handle("echo", (value) => value);
    remote.rpc.handle("fail", async () => {
      throw new Error("as asked");
    });
    remote.events.on("ping", (data) => remote.events.emit("pong", data));
  },
});
assert.equal(server.daemonId, DAEMON_ID);
assert.ok(!inspect(server).includes(API_KEY));
done("listen");

const client = { daemonId: DAEMON_ID, apiUrl: API_URL, identityKeyStore: createMemoryIdentityKeyStore() };
const peer = connect({ ...client, getAccessToken: async () => ACCESS_TOKEN });
await peer.whenReady();
assert.equal(peer.state, "active");
done("connect");

const value = { text: "ü€😀", list: [1, 2.5, null], nested: { deep: [{}] } };
assert.deepEqual(await peer.rpc.call("echo", value), value);
assert.equal(await remotes[0].rpc.tryCall("missing").then(({ ok }) => ok), false);
const failing = await peer.rpc.call("fail").catch((error) => error);
assert.ok(failing instanceof RpcPeerError && failing instanceof PeerError && failing instanceof Error);
assert.equal(failing.message, "as asked");
assert.ok(failing.stack.includes("smoke.mjs"), `the stack shows the caller:\n${failing.stack}`);
const many = await Promise.all(Array.from({ length: 1_000 }, (_, number) => peer.rpc.call("echo", number)));
assert.deepEqual(
  many,
  Array.from({ length: 1_000 }, (_, number) => number),
);
const cancelled = peer.rpc.call("echo", 1, { signal: AbortSignal.abort() });
assert.equal((await cancelled.catch((error) => error)).code, "rpc_cancelled");
done("call");

const pong = new Promise((resolve) => peer.events.on("pong", resolve));
peer.events.emit("ping", value);
assert.deepEqual(await pong, value);
done("events");

const paused = reached(peer, "paused");
const cut = await fetch(`${API_URL}/admin/daemons/${DAEMON_ID}/disconnect`, {
  method: "POST",
  headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
});
assert.ok(cut.ok);
await paused;
assert.equal(await peer.rpc.call("echo", "waits for the resume"), "waits for the resume");
assert.equal(remotes.length, 1);
done("pause");

const errors = [];
const refused = connect({
  ...client,
  getAccessToken: () => "wrong",
  onUnhandledError: (error) => errors.push(error),
});
await reached(refused, "closed");
assert.ok(errors[0] instanceof CloudApiError && errors[0].status === 401);
done("refuse");

const direct = await listenDirect({
  endpoint: "ws://127.0.0.1:0",
  onConnection: (remote) => remote.rpc.handle("echo", (echoed) => echoed),
});
const plain = createPeer({ endpoint: direct.address });
await plain.connect();
assert.equal(await plain.rpc.call("echo", 1), 1);
await plain.disconnect();
await direct.close();
done("direct");

if (END === "exit") {
  peer.rpc.call("echo").catch(() => {});
  process.exit(7);
}
if (END === "unref") {
  peer.unref();
  server.unref();
} else {
  await peer.disconnect();
  assert.equal(peer.state, "closed");
  await server.close();
  assert.equal(server.connections.size, 0);
}
done("close");
