// Callbacks that never settle: what waits for them is given up, and nothing else is disturbed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createMemoryIdentityKeyStore, generateIdentityKeyPair } from "@sideband/cloud";
import { createPeer } from "@sideband/cloud/peer";
import { relayClientNegotiator, relayDaemonNegotiator } from "@sideband/cloud/peer/sbrp";
import { listen } from "@sideband/cloud/peer/server";
import { atEnd } from "./support/ending.mjs";
import { startClient, startDaemon, startPair } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";
import { createSession } from "./support/sessions.mjs";
import { deferred, reached } from "./support/wait.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

const never = () => new Promise(() => {});

/** A peer whose handshake has little time. */
async function startHurried(t, account, callbacks) {
  const { relayUrl, token } = await createSession(relay, account);
  const peer = createPeer({
    endpoint: relayUrl,
    negotiator: relayClientNegotiator({
      daemonId: account.daemonId,
      sessionToken: token,
      identityKeyStore: createMemoryIdentityKeyStore(),
      onFirstConnection: never,
      onIdentityMismatch: never,
      handshakeTimeoutMs: 50,
      ...callbacks,
    }),
  });
  atEnd(t, () => peer.disconnect());
  return peer;
}

test("a prompt that never answers refuses when the handshake's time is over, and pins nothing", async (t) => {
  const { account } = await startDaemon(t, relay);
  const identityKeyStore = createMemoryIdentityKeyStore();
  const peer = await startHurried(t, account, { identityKeyStore });
  await assert.rejects(peer.connect(), (error) => error.cause.code === "handshake_failed");
  assert.equal(peer.state, "closed");
  assert.equal(await identityKeyStore.get(account.daemonId), null);
});

test("a store that never answers fails the attempt when the handshake's time is over", async (t) => {
  const { account } = await startDaemon(t, relay);
  const identityKeyStore = { get: never, set() {}, delete() {} };
  const peer = await startHurried(t, account, { identityKeyStore, trustPolicy: "auto" });
  await assert.rejects(peer.connect(), (error) => error.cause.code === "handshake_timeout");
});

test("a store that never finishes a pin fails the attempt when the handshake's time is over", async (t) => {
  const { account } = await startDaemon(t, relay);
  const identityKeyStore = { get: () => null, set: never, delete() {} };
  const peer = await startHurried(t, account, { identityKeyStore, trustPolicy: "auto" });
  await assert.rejects(peer.connect(), (error) => error.cause.name === "SbrpError");
});

test("while a token, a store or a prompt is waited for, disconnect() closes at once", async (t) => {
  const { account } = await startDaemon(t, relay);
  const asked = deferred();
  const ask = () => (asked.resolve(), never());
  for (const callbacks of [
    { getAccessToken: ask },
    { identityKeyStore: { get: ask, set() {}, delete() {} } },
    { trustPolicy: "prompt", onFirstConnection: ask, onIdentityMismatch: ask },
  ]) {
    const peer = startClient(t, relay, account, callbacks);
    await asked.promise;
    const gone = peer.disconnect();
    assert.equal(peer.state, "closed");
    await gone;
  }
});

test("an onConnection that never settles: its peer works, and the server closes", async (t) => {
  const { peer, server } = await startPair(t, relay, {
    client: { retryPolicy: { mode: "never" }, onUnhandledError() {} },
    onConnection(remote) {
      remote.rpc.handle("echo", (value) => value);
      return never();
    },
  });
  assert.equal(await peer.rpc.call("echo", 1), 1);
  const closed = reached(peer, "closed");
  await server.close();
  await closed;
});

test("a session token that never comes: disconnect() closes at once", async (t) => {
  const { account } = await startDaemon(t, relay);
  const asked = deferred();
  const peer = createPeer({
    endpoint: relay.relayUrl,
    negotiator: relayClientNegotiator({
      daemonId: account.daemonId,
      sessionToken: () => (asked.resolve(), never()),
      identityKeyStore: createMemoryIdentityKeyStore(),
      trustPolicy: "auto",
    }),
  });
  const rejected = assert.rejects(peer.connect(), { code: "peer_closed" });
  await asked.promise;
  await peer.disconnect();
  await rejected;
});

test("a presence token that never comes: listen() can be aborted", async () => {
  const asked = deferred();
  const controller = new AbortController();
  const listening = listen({
    endpoint: relay.relayUrl,
    negotiator: relayDaemonNegotiator({
      daemonId: "waiting",
      presenceToken: () => (asked.resolve(), never()),
      identityKeyPair: generateIdentityKeyPair(),
    }),
    onConnection() {},
    signal: controller.signal,
  });
  const rejected = assert.rejects(listening, { name: "AbortError" });
  await asked.promise;
  controller.abort();
  await rejected;
});

test("listeners, subscribers and onUnhandledError that never settle hold nothing up", async (t) => {
  const { peer, remote, server } = await startPair(t, relay, {
    daemon: { onUnhandledError: never },
    onConnection: (remote) => remote.rpc.handle("echo", (value) => value),
  });
  const seen = [];
  remote.on("stateChange", never);
  remote.events.on("event", never);
  remote.events.on("event", () => {
    throw new Error("for onUnhandledError");
  });
  remote.events.on("event", (data) => seen.push(data));
  peer.events.emit("event", 1);
  peer.events.emit("event", 2);
  assert.equal(await peer.rpc.call("echo", 1), 1);
  assert.deepEqual(seen, [1, 2]);
  await peer.disconnect();
  await reached(remote, "closed");
  await server.close();
});

test("a handler that never settles stops no other", async (t) => {
  const { peer } = await startPair(t, relay, {
    onConnection(remote) {
      remote.rpc.handle("never", never);
      remote.rpc.handle("echo", (value) => value);
    },
  });
  const waiting = peer.rpc.call("never");
  assert.equal(await peer.rpc.call("echo", 1), 1);
  const rejected = assert.rejects(waiting, { code: "peer_closed" });
  await peer.disconnect();
  await rejected;
});

test("thenables of every kind are waited for", async (t) => {
  const { peer } = await startPair(t, relay, {
    onConnection(remote) {
      remote.rpc.handle("thenable", () => ({ then: (resolve) => resolve("then") }));
      remote.rpc.handle("hostile", () => ({
        get then() {
          throw new Error("hostile");
        },
      }));
      remote.rpc.handle("twice", () => ({
        then(resolve, reject) {
          resolve(1);
          reject(new Error("too late"));
          resolve(2);
        },
      }));
    },
  });
  assert.equal(await peer.rpc.call("thenable"), "then");
  assert.equal(await peer.rpc.call("twice"), 1);
  await assert.rejects(peer.rpc.call("hostile"), { code: "rpc_error", message: "hostile" });
});
