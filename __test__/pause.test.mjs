// Pause and resume: the daemon's connection to the relay drops, the sessions stand.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startClient, startPair } from "./support/peers.mjs";
import { startDaemonProgram } from "./support/programs.mjs";
import { startRelay } from "./support/relay.mjs";
import { collected, deferred, reached } from "./support/wait.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

/** A client whose daemon's process was killed: paused, and it stays so. */
async function startPaused(t, options = {}) {
  const account = await relay.addDaemon();
  const daemon = await startDaemonProgram(t, relay, account);
  const peer = startClient(t, relay, account, options);
  await peer.whenReady();
  assert.equal(await peer.rpc.call("echo", 1), 1);
  const paused = reached(peer, "paused");
  daemon.child.kill("SIGKILL");
  await paused;
  return peer;
}

test("both sides pause and resume without a reconnect, and calls in flight survive", async (t) => {
  const gate = deferred();
  const entered = { client: deferred(), daemon: deferred() };
  const { account, peer, remote } = await startPair(t, relay);
  peer.rpc.handle("slow.client", () => (entered.client.resolve(), gate.promise));
  remote.rpc.handle("slow.daemon", () => (entered.daemon.resolve(), gate.promise));
  const log = [];
  for (const [name, side] of [
    ["client", peer],
    ["daemon", remote],
  ]) {
    for (const event of ["connected", "disconnected", "reconnecting", "sessionPaused", "sessionResumed"]) {
      side.on(event, () => log.push(`${name} ${event}`));
    }
  }
  const calls = [peer.rpc.call("slow.daemon"), remote.rpc.call("slow.client")];
  // What is still on its way to the daemon is lost with its connection.
  await Promise.all([entered.client.promise, entered.daemon.promise]);
  const paused = [reached(peer, "paused"), reached(remote, "paused")];
  await relay.cutDaemon(account.daemonId);
  await Promise.all(paused);
  assert.equal(peer.connected && remote.connected, true);
  assert.equal(peer.ready || remote.ready, false);
  const ready = peer.whenReady();
  gate.resolve("survived");
  assert.deepEqual(await Promise.all(calls), ["survived", "survived"]);
  await ready;
  await reached(remote, "active");
  assert.deepEqual(log.toSorted(), [
    "client sessionPaused",
    "client sessionResumed",
    "daemon sessionPaused",
    "daemon sessionResumed",
  ]);
});

test("what is sent while paused arrives once and in order after the resume", async (t) => {
  const { account, peer, remote } = await startPair(t, relay);
  const seen = { peer: [], remote: [] };
  peer.events.on("n", (n) => seen.peer.push(n));
  remote.events.on("n", (n) => seen.remote.push(n));
  remote.rpc.handle("n", (n) => (seen.remote.push(n), n));
  const paused = [reached(peer, "paused"), reached(remote, "paused")];
  await relay.cutDaemon(account.daemonId);
  await Promise.all(paused);
  const calls = [];
  for (let n = 0; n < 20; n += 2) {
    peer.events.emit("n", n);
    calls.push(peer.rpc.call("n", n + 1));
    remote.events.emit("n", n);
  }
  assert.deepEqual(
    await Promise.all(calls),
    Array.from({ length: 10 }, (_, index) => 2 * index + 1),
  );
  await collected(seen.peer, 10);
  assert.deepEqual(
    seen.remote,
    Array.from({ length: 20 }, (_, index) => index),
  );
  assert.deepEqual(
    seen.peer,
    Array.from({ length: 10 }, (_, index) => 2 * index),
  );
});

test("of the events emitted while paused the newest are kept, and tryCall says that it waited", async (t) => {
  const { account, peer, remote } = await startPair(t, relay, { client: { eventPolicy: { maxBufferedEvents: 2 } } });
  const seen = [];
  remote.events.on("n", (n) => seen.push(n));
  remote.rpc.handle("n", (n) => n);
  const paused = reached(peer, "paused");
  await relay.cutDaemon(account.daemonId);
  await paused;
  for (const n of [1, 2, 3]) peer.events.emit("n", n);
  assert.deepEqual(await peer.rpc.tryCall("n", 4), { ok: true, value: 4, reconnected: true });
  assert.deepEqual(await peer.rpc.tryCall("n", 5), { ok: true, value: 5, reconnected: false });
  assert.deepEqual(seen, [2, 3]);
});

test("whenReady stays pending while paused, and can be aborted", async (t) => {
  const peer = await startPaused(t);
  const controller = new AbortController();
  const ready = peer.whenReady({ signal: controller.signal });
  const rejected = assert.rejects(ready, { code: "cancelled" });
  await assert.rejects(peer.rpc.call("echo", 1, { timeoutMs: 1 }), { code: "rpc_timeout" });
  controller.abort();
  await rejected;
  assert.throws(() => peer.connect(), { code: "invalid_state" });
});

test('paused with "fail": calls reject session_paused at once', async (t) => {
  const peer = await startPaused(t, { connectionPolicy: { onDisconnect: "fail" } });
  await assert.rejects(peer.rpc.call("echo", 1), { code: "session_paused", name: "PeerError" });
});

test('paused with "pause": calls wait up to the limit, their time runs, abort takes them out', async (t) => {
  const peer = await startPaused(t, { rpcPolicy: { disconnectBufferLimitBytes: 1_000 } });
  const controller = new AbortController();
  const aborted = peer.rpc.call("echo", "x".repeat(600), { signal: controller.signal });
  const rejected = assert.rejects(aborted, { code: "rpc_cancelled" });
  await assert.rejects(peer.rpc.call("echo", "x".repeat(600)), { code: "buffer_overflow", name: "PeerError" });
  controller.abort();
  await rejected;
  await assert.rejects(peer.rpc.call("echo", "x".repeat(600), { timeoutMs: 5 }), { code: "rpc_timeout" });
  const waiting = peer.rpc.call("echo", "x".repeat(600));
  const closed = assert.rejects(waiting, { code: "peer_closed" });
  await peer.disconnect();
  await closed;
});
