// A peer of `createPeer` before its first `connect()`: what is sent waits or fails, by policy.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createPeer } from "@sideband/cloud/peer";
import { relayClientNegotiator } from "@sideband/cloud/peer/sbrp";
import { createMemoryIdentityKeyStore } from "@sideband/cloud";
import { atEnd } from "./support/ending.mjs";
import { startDaemon } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";
import { createSession } from "./support/sessions.mjs";
import { collected, deferred } from "./support/wait.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

/** An idle peer of a daemon that writes down what it gets. */
async function startIdle(t, options) {
  const seen = [];
  const { account } = await startDaemon(t, relay, {
    onConnection(remote) {
      remote.rpc.handle("call", (value) => (seen.push(value), value));
      remote.events.onPattern(">", (_name, data) => seen.push(data));
    },
  });
  const { relayUrl, token } = await createSession(relay, account);
  const negotiator = relayClientNegotiator({
    daemonId: account.daemonId,
    sessionToken: token,
    identityKeyStore: createMemoryIdentityKeyStore(),
    trustPolicy: "auto",
  });
  const peer = createPeer({ endpoint: relayUrl, negotiator, ...options });
  atEnd(t, () => peer.disconnect());
  return { peer, seen };
}

test('with "fail", the default, calls reject not_connected', async (t) => {
  const { peer } = await startIdle(t);
  await assert.rejects(peer.rpc.call("call", 1), { code: "not_connected", name: "PeerError" });
  const tried = await peer.rpc.tryCall("call", 1);
  assert.equal(tried.error.code, "not_connected");
});

test('with "pause", calls and events wait for connect(), in order', async (t) => {
  const { peer, seen } = await startIdle(t, { connectionPolicy: { onDisconnect: "pause" } });
  peer.events.emit("e", 0);
  const first = peer.rpc.tryCall("call", 1);
  peer.events.emit("e", 2);
  const second = peer.rpc.call("call", 3);
  assert.equal(peer.state, "idle");
  await peer.connect();
  assert.deepEqual(await first, { ok: true, value: 1, reconnected: true });
  assert.equal(await second, 3);
  await collected(seen, 4);
  assert.deepEqual(seen, [0, 1, 2, 3]);
});

test("waiting calls time out, can be aborted, and overflow", async (t) => {
  const { peer, seen } = await startIdle(t, {
    connectionPolicy: { onDisconnect: "pause" },
    rpcPolicy: { disconnectBufferLimitBytes: 200 },
  });
  await assert.rejects(peer.rpc.call("call", 1, { timeoutMs: 5 }), { code: "rpc_timeout", name: "RpcPeerError" });
  const controller = new AbortController();
  const aborted = peer.rpc.call("call", "x".repeat(80), { signal: controller.signal });
  await assert.rejects(peer.rpc.call("call", "x".repeat(80)), { code: "buffer_overflow" });
  controller.abort();
  await assert.rejects(aborted, { code: "rpc_cancelled" });
  const kept = peer.rpc.call("call", "kept");
  await peer.connect();
  assert.equal(await kept, "kept");
  assert.deepEqual(seen, ["kept"]);
});

test("waiting events: the oldest is evicted, 0 turns waiting off, bad ones throw", async (t) => {
  const { peer, seen } = await startIdle(t, { eventPolicy: { maxBufferedEvents: 2 } });
  for (const data of [1, 2, 3]) peer.events.emit("e", data);
  assert.throws(() => peer.events.emit("no name"), { code: "invalid_pattern" });
  assert.throws(() => peer.events.emit("e", 1n), TypeError);
  await peer.connect();
  peer.events.emit("e", 4);
  await collected(seen, 3);
  assert.deepEqual(seen, [2, 3, 4]);
  const { peer: other, seen: otherSeen } = await startIdle(t, { eventPolicy: { maxBufferedEvents: 0 } });
  other.events.emit("e", 1);
  await other.connect();
  other.events.emit("e", 2);
  await collected(otherSeen, 1);
  assert.deepEqual(otherSeen, [2]);
});

test("closed before connect(): waiting calls reject peer_closed", async (t) => {
  const { peer } = await startIdle(t, { connectionPolicy: { onDisconnect: "pause" } });
  const call = peer.rpc.call("call", 1);
  const rejected = assert.rejects(call, { code: "peer_closed" });
  await peer.disconnect();
  await rejected;
});

test("what is taken before connect() is sent after it: both count the same bytes", async (t) => {
  const { account } = await startDaemon(t, relay, {
    onConnection: (remote) => void remote.rpc.handle("ping", () => "pong"),
  });
  const { relayUrl, token } = await createSession(relay, account);
  const asked = deferred();
  const negotiator = relayClientNegotiator({
    daemonId: account.daemonId,
    sessionToken: () => asked.promise,
    identityKeyStore: createMemoryIdentityKeyStore(),
    trustPolicy: "auto",
  });
  const connectionPolicy = { onDisconnect: "pause" };
  const rpcPolicy = { disconnectBufferLimitBytes: 1_000 };
  const peer = createPeer({ endpoint: relayUrl, negotiator, connectionPolicy, rpcPolicy });
  atEnd(t, () => peer.disconnect());
  const failed = [];
  const taken = [];
  const calls = Array.from({ length: 100 }, () =>
    peer.rpc.tryCall("ping").then(({ ok, error }) => (ok ? taken : failed).push(error?.code)),
  );
  await assert.rejects(peer.rpc.call("ping"), { code: "buffer_overflow" });
  const before = [...failed];
  const running = peer.connect();
  // Behind what came from before: now it is the addon that counts, and there is no more room for one of these.
  await assert.rejects(peer.rpc.call("ping"), { code: "buffer_overflow" });
  asked.resolve(token);
  await running;
  await Promise.all(calls);
  assert.ok(taken.length > 0 && before.every((code) => code === "buffer_overflow"));
  assert.deepEqual(failed, before);
});

test("a message that can never be sent is refused at once, and takes nothing's place", async (t) => {
  const { peer, seen } = await startIdle(t, {
    connectionPolicy: { onDisconnect: "pause" },
    eventPolicy: { maxBufferedEvents: 1 },
  });
  const nested = (levels) => JSON.parse("[".repeat(levels) + "]".repeat(levels));
  peer.events.emit("e", "kept");
  const kept = peer.rpc.call("call", "kept");
  for (const [value, expected] of [
    ["x".repeat(65_508), { name: "PeerError", code: "message_too_large" }],
    [nested(129), { name: "TypeError" }],
    [{ "\"[": [nested(127)] }, { name: "TypeError" }],
  ]) {
    await assert.rejects(peer.rpc.call("call", value), expected);
    assert.throws(() => peer.events.emit("e", value), expected);
  }
  const deep = peer.rpc.call("call", [...nested(128), '[[\\"'.repeat(200)]);
  await peer.connect();
  assert.equal(await kept, "kept");
  await deep;
  assert.deepEqual(seen.slice(0, 2), ["kept", "kept"]);
});

test("the largest message is as large before connect() as after it", async (t) => {
  const { peer } = await startIdle(t, {
    connectionPolicy: { onDisconnect: "pause" },
    rpcPolicy: { disconnectBufferLimitBytes: 10_000_000 },
  });
  const refuses = (size) => {
    try {
      peer.events.emit("e", "é\u0001".repeat(100) + "x".repeat(size));
      return false;
    } catch (error) {
      assert.equal(error.code, "message_too_large");
      return true;
    }
  };
  const firstRefused = () => Array.from({ length: 1_000 }, (_, index) => 64_500 + index).find(refuses);
  const before = firstRefused();
  await peer.connect();
  assert.equal(firstRefused(), before);
  const longest = 65_508 - '"xcall"'.length - 80;
  await assert.rejects(peer.rpc.call("call", "x".repeat(longest)), { code: "message_too_large" });
});
