// The states of a peer, the events of their changes, and the promises that wait for them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createPeer } from "@sideband/cloud/peer";
import { startClient, startDaemon, startPair } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";
import { deferred, reached } from "./support/wait.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

const EVENTS = ["stateChange", "connected", "disconnected", "reconnecting", "sessionPaused", "sessionResumed", "error"];

/** Writes down every event of a peer. */
function recorded(peer) {
  const log = [];
  for (const event of EVENTS) {
    peer.on(event, (value) => log.push(event === "stateChange" ? `${value.previous} → ${value.state}` : event));
  }
  return log;
}

test("a client connects, is ready, and closes", async (t) => {
  const { account } = await startDaemon(t, relay);
  const peer = startClient(t, relay, account);
  assert.equal(peer.state, "connecting");
  assert.equal(peer.connected, false);
  assert.equal(peer.ready, false);
  assert.equal(peer.peerId, undefined);
  assert.equal(peer.reconnecting, undefined);
  const log = recorded(peer);
  await peer.whenReady();
  assert.equal(peer.state, "active");
  assert.equal(peer.connected && peer.ready, true);
  assert.equal(typeof peer.peerId, "string");
  const closing = peer.disconnect();
  assert.equal(peer.state, "closed");
  assert.equal(peer.connected || peer.ready, false);
  assert.deepEqual(log, [
    "connecting → negotiating",
    "negotiating → active",
    "connected",
    "active → closed",
    "disconnected",
  ]);
  assert.equal(await closing, undefined);
  assert.equal(await peer.disconnect(), undefined);
  assert.equal(log.length, 5);
});

test("both sides know each other's peer id, and the daemon's peer follows the client's end at once", async (t) => {
  const { server, peer, remote } = await startPair(t, relay);
  assert.equal(remote.state, "active");
  assert.equal(server.connections.get(remote.peerId), remote);
  assert.deepEqual([...server.connections.keys()], [remote.peerId]);
  assert.throws(() => server.connections.set("a", remote), TypeError);
  assert.throws(() => server.connections.clear(), TypeError);
  const log = recorded(remote);
  await peer.disconnect();
  await reached(remote, "closed");
  assert.deepEqual(log, ["active → closed", "disconnected"]);
  assert.equal(server.connections.size, 0);
});

test("the daemon closes one peer, and the client hears of it at once", async (t) => {
  const { server, peer, remote } = await startPair(t, relay, {
    client: { retryPolicy: { mode: "never" }, onUnhandledError() {} },
  });
  const closing = remote.disconnect();
  assert.equal(remote.state, "closed");
  assert.equal(server.connections.size, 0);
  await closing;
  await reached(peer, "closed");
});

test("calls in flight reject peer_closed on disconnect, on both sides", async (t) => {
  const { peer, remote } = await startPair(t, relay);
  const never = () => new Promise(() => {});
  const entered = [deferred(), deferred()];
  peer.rpc.handle("never", () => (entered[0].resolve(), never()));
  remote.rpc.handle("never", () => (entered[1].resolve(), never()));
  const calls = [remote.rpc.call("never"), peer.rpc.call("never")];
  await Promise.all(entered.map(({ promise }) => promise));
  const rejected = calls.map((call) => assert.rejects(call, { code: "peer_closed", name: "PeerError" }));
  await peer.disconnect();
  await Promise.all(rejected);
});

test("a closed peer refuses everything with peer_closed, and drops events", async (t) => {
  const { peer, remote } = await startPair(t, relay);
  await peer.disconnect();
  await reached(remote, "closed");
  for (const side of [peer, remote]) {
    await assert.rejects(side.rpc.call("any"), { code: "peer_closed" });
    await assert.rejects(side.whenReady(), { code: "peer_closed" });
    assert.equal((await side.rpc.tryCall("any")).error.code, "peer_closed");
    assert.equal(side.events.emit("any", 1), undefined);
    assert.throws(() => side.events.emit("not a name"), { code: "invalid_pattern" });
  }
  assert.throws(() => peer.connect(), { code: "peer_closed" });
});

test("whenReady: at once when active, cancelled on abort, peer_closed on close", async (t) => {
  const { account } = await startDaemon(t, relay);
  const peer = startClient(t, relay, account);
  const controller = new AbortController();
  const aborted = peer.whenReady({ signal: controller.signal });
  const reason = new Error("enough");
  controller.abort(reason);
  await assert.rejects(aborted, { code: "cancelled", name: "PeerError", cause: reason });
  await assert.rejects(peer.whenReady({ signal: AbortSignal.abort() }), { code: "cancelled" });
  await assert.rejects(peer.whenReady({ signal: 1 }), TypeError);
  await peer.whenReady();
  await peer.whenReady({ signal: new AbortController().signal });
  const other = startClient(t, relay, account);
  const waiting = other.whenReady();
  const rejected = assert.rejects(waiting, { code: "peer_closed" });
  await other.disconnect();
  await rejected;
});

test("whenReady that is given up says why the last attempt failed", async (t) => {
  const { account } = await startDaemon(t, relay);
  const getAccessToken = () => Promise.reject(new Error("the vault is closed"));
  const peer = startClient(t, relay, account, { getAccessToken });
  const controller = new AbortController();
  const ready = peer.whenReady({ signal: controller.signal });
  peer.on("reconnecting", () => controller.abort());
  const expected = { code: "cancelled", message: /; the last attempt failed: .*the vault is closed/ };
  await assert.rejects(ready, expected);
  await assert.rejects(peer.whenReady({ signal: AbortSignal.abort() }), expected);
});

test("connect(): from idle, the running promise while connecting, invalid_state else", async (t) => {
  const { account } = await startDaemon(t, relay);
  const peer = startClient(t, relay, account);
  const first = peer.connect();
  assert.equal(peer.connect(), first);
  await first;
  assert.throws(() => peer.connect(), { code: "invalid_state", name: "PeerError" });
  const idle = createPeer({ endpoint: "ws://127.0.0.1:1" });
  assert.equal(idle.state, "idle");
  const log = recorded(idle);
  assert.equal(await idle.disconnect(), undefined);
  assert.equal(idle.state, "closed");
  assert.deepEqual(log, ["idle → closed"]);
  assert.throws(() => idle.connect(), { code: "peer_closed" });
});

test("disconnect() while connecting rejects connect() with peer_closed", async () => {
  const peer = createPeer({ endpoint: "ws://127.0.0.1:1", retryPolicy: { mode: "on-error", maxAttempts: 0 } });
  const connecting = peer.connect();
  assert.equal(peer.state, "connecting");
  const rejected = assert.rejects(connecting, { code: "peer_closed" });
  await peer.disconnect();
  await rejected;
});

test("a listener that throws or rejects is reported and stops nothing", async (t) => {
  const errors = [];
  const { account } = await startDaemon(t, relay);
  const peer = startClient(t, relay, account, { onUnhandledError: (error) => errors.push(error) });
  const thrown = new Error("thrown");
  const rejected = new Error("rejected");
  peer.on("connected", () => {
    throw thrown;
  });
  peer.on("connected", () => Promise.reject(rejected));
  const reachedLast = deferred();
  peer.on("connected", reachedLast.resolve);
  await reachedLast.promise;
  await peer.rpc.tryCall("any");
  assert.deepEqual(errors, [thrown, rejected]);
});

test("an onUnhandledError that throws breaks nothing", async (t) => {
  t.mock.method(console, "error", () => {});
  const { account } = await startDaemon(t, relay);
  const peer = startClient(t, relay, account, {
    onUnhandledError() {
      throw new Error("second");
    },
  });
  peer.on("connected", () => {
    throw new Error("first");
  });
  await peer.whenReady();
  assert.equal(console.error.mock.calls[0].arguments[0].message, "second");
});

test("a removed listener is not called; misuse of on() throws", async (t) => {
  const { account } = await startDaemon(t, relay);
  const peer = startClient(t, relay, account);
  const off = peer.on("connected", () => assert.fail("was removed"));
  off();
  off();
  assert.throws(() => peer.on("nothing", () => {}), TypeError);
  assert.throws(() => peer.on("connected", 1), TypeError);
  await peer.whenReady();
});

test("a listener may disconnect: events stay in order", async (t) => {
  const { account } = await startDaemon(t, relay);
  const peer = startClient(t, relay, account);
  peer.on("stateChange", ({ state }) => {
    if (state === "active") void peer.disconnect();
  });
  const log = recorded(peer);
  await reached(peer, "closed");
  assert.deepEqual(log, [
    "connecting → negotiating",
    "negotiating → active",
    "connected",
    "active → closed",
    "disconnected",
  ]);
});

test("the dispose symbols disconnect", async (t) => {
  const { server, peer, remote } = await startPair(t, relay);
  assert.equal(peer[Symbol.dispose](), undefined);
  assert.equal(peer.state, "closed");
  await remote[Symbol.asyncDispose]();
  assert.equal(remote.state, "closed");
  await server[Symbol.asyncDispose]();
});

test("handlers and subscriptions registered in the tick of connect() see every message", async (t) => {
  const { account } = await startDaemon(t, relay, {
    async onConnection(remote) {
      remote.events.emit("early", 1);
      remote.rpc.handle("push", () => remote.rpc.call("pushed"));
    },
  });
  const peer = startClient(t, relay, account);
  const early = deferred();
  peer.events.on("early", early.resolve);
  peer.rpc.handle("pushed", () => "yes");
  assert.equal(await early.promise, 1);
  assert.equal(await peer.rpc.call("push"), "yes");
});
