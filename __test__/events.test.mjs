// Events: names, patterns, order, and what a bad one does.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { PeerError } from "@sideband/cloud";
import { isValidEventName, matchPattern, validatePattern } from "@sideband/cloud/peer";
import { startPair } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";
import { collected, deferred } from "./support/wait.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

/** Resolves when everything that `from` sent before has arrived at `to`. */
async function settled(from, to) {
  const off = to.rpc.handle("settled", () => true);
  await from.rpc.call("settled");
  off();
}

test("events go both ways, with and without data", async (t) => {
  const { peer, remote } = await startPair(t, relay);
  for (const [from, to] of [
    [peer, remote],
    [remote, peer],
  ]) {
    const seen = [];
    to.events.on("chat.message", (...data) => seen.push(data));
    from.events.emit("chat.message", { text: "hi 👋", __proto__: null });
    from.events.emit("chat.message");
    from.events.emit("chat.message", null);
    assert.deepEqual(await collected(seen, 3), [[{ text: "hi 👋" }], [undefined], [null]]);
  }
});

test("patterns match by segment, and handlers run in the order of subscription", async (t) => {
  const { peer, remote } = await startPair(t, relay);
  const seen = [];
  remote.events.onPattern("task.>", (name, data) => seen.push(["task.>", name, data]));
  remote.events.on("task.done", (data) => seen.push(["task.done", data]));
  remote.events.onPattern("*.done", (name, data) => seen.push(["*.done", name, data]));
  remote.events.onPattern("task.*.x", (name) => seen.push(["task.*.x", name]));
  peer.events.emit("task.done", 1);
  peer.events.emit("task.step.x", 2);
  peer.events.emit("other.done", 3);
  peer.events.emit("task");
  peer.events.emit("$sideband/done", 4);
  await settled(peer, remote);
  assert.deepEqual(seen, [
    ["task.>", "task.done", 1],
    ["task.done", 1],
    ["*.done", "task.done", 1],
    ["task.>", "task.step.x", 2],
    ["task.*.x", "task.step.x"],
    ["*.done", "other.done", 3],
  ]);
});

test("an unsubscribed handler is not called, also when it is unsubscribed by another one", async (t) => {
  const { peer, remote } = await startPair(t, relay);
  const seen = [];
  const offs = [];
  offs.push(remote.events.on("a", () => (seen.push("first"), offs.forEach((off) => off()))));
  offs.push(remote.events.on("a", () => seen.push("second")));
  offs.push(remote.events.onPattern("*", () => seen.push("third")));
  remote.events.on("a", () => seen.push("last"));
  peer.events.emit("a");
  peer.events.emit("a");
  await settled(peer, remote);
  assert.deepEqual(seen, ["first", "last", "last"]);
});

test("a subscription made twice is called twice", async (t) => {
  const { peer, remote } = await startPair(t, relay);
  let count = 0;
  const handler = () => (count += 1);
  const off = remote.events.on("a", handler);
  remote.events.on("a", handler);
  peer.events.emit("a");
  await settled(peer, remote);
  assert.equal(count, 2);
  off();
  off();
  peer.events.emit("a");
  await settled(peer, remote);
  assert.equal(count, 3);
});

test("a handler that throws or rejects is reported and stops nothing", async (t) => {
  const errors = [];
  const { peer, remote } = await startPair(t, relay, { daemon: { onUnhandledError: (error) => errors.push(error) } });
  const seen = [];
  const [first, second, third] = ["first", "second", "third"].map((name) => new Error(name));
  remote.events.on("a", () => {
    throw first;
  });
  remote.events.on("a", async () => {
    throw second;
  });
  remote.events.onPattern(">", () => {
    throw third;
  });
  remote.events.on("a", (data) => seen.push(data));
  peer.events.emit("a", 1);
  await collected(errors, 3);
  assert.deepEqual(new Set(errors), new Set([first, second, third]));
  assert.deepEqual(seen, [1]);
});

test("bad names and data throw from emit, and nothing is sent", async (t) => {
  const { peer, remote } = await startPair(t, relay);
  const seen = [];
  remote.events.onPattern(">", (name) => seen.push(name));
  for (const name of ["", "a..b", ".a", "a.", "a b", "a.*", ">", "ä", "$sideband/", "x".repeat(256)]) {
    assert.throws(
      () => peer.events.emit(name),
      (error) => error instanceof PeerError && error.code === "invalid_pattern",
      name,
    );
    assert.throws(() => peer.events.on(name, () => {}), { code: "invalid_pattern" });
  }
  assert.throws(() => peer.events.emit(1), TypeError);
  const cycle = {};
  cycle.self = cycle;
  for (const data of [cycle, 1n, () => {}]) assert.throws(() => peer.events.emit("a", data), TypeError);
  assert.throws(() => peer.events.emit("a", "x".repeat(65_600)), { code: "message_too_large" });
  assert.throws(() => peer.events.emit("a", JSON.parse("[".repeat(200) + "]".repeat(200))), TypeError);
  peer.events.emit("good");
  await settled(peer, remote);
  assert.deepEqual(seen, ["good"]);
});

test("names and patterns are checked by the contract's grammar", () => {
  assert.equal(isValidEventName("user.created"), true);
  assert.equal(isValidEventName("$sideband/x"), true);
  assert.equal(isValidEventName("user.*"), false);
  assert.equal(isValidEventName(7), false);
  for (const pattern of ["a", "a.*", "*.b", "a.>", ">"]) assert.equal(validatePattern(pattern), undefined);
  for (const pattern of ["a.**", "a.>.b", "a*", "", "a..b"]) {
    assert.throws(() => validatePattern(pattern), { code: "invalid_pattern", name: "PeerError" }, pattern);
  }
  assert.throws(() => validatePattern("a.**"), /use ">"/);
  assert.throws(() => validatePattern(undefined), TypeError);
  assert.equal(matchPattern("a.>", "a.b.c"), true);
  assert.equal(matchPattern("a.>", "a"), false);
  assert.equal(matchPattern(">", "$sideband/x"), false);
});

test("a daemon may emit to every connection", async (t) => {
  const { server, peer } = await startPair(t, relay);
  const got = deferred();
  peer.events.on("server.broadcast", got.resolve);
  for (const connection of server.connections.values()) connection.events.emit("server.broadcast", { to: "all" });
  assert.deepEqual(await got.promise, { to: "all" });
});
