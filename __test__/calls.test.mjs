// Calls in both directions: what goes in, what comes out, what goes wrong.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { PeerError, RpcPeerError } from "@sideband/cloud";
import { startClient, startPair } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";
import { deferred } from "./support/wait.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

/** Every function of the API by which values travel, over one connection. */
async function startEcho(t, options) {
  return startPair(t, relay, {
    onConnection(remote) {
      remote.rpc.handle("echo", (value) => value);
      remote.rpc.handle("fail", ({ message }) => {
        throw new Error(message);
      });
    },
    ...options,
  });
}

test("calls go both ways", async (t) => {
  const { peer, remote } = await startEcho(t);
  peer.rpc.handle("client.add", async ({ a, b }) => a + b);
  assert.equal(await peer.rpc.call("echo", "hello"), "hello");
  assert.equal(await remote.rpc.call("client.add", { a: 1, b: 2 }), 3);
});

test("values arrive as JSON carries them, numbers beyond 2^53 too", async (t) => {
  const { peer, remote } = await startEcho(t);
  peer.rpc.handle("echo", (value) => value);
  const values = [
    null,
    true,
    0,
    -0,
    1e308,
    2 ** 53 + 2,
    12345678901234567890,
    -(2 ** 63),
    "",
    "ünïcödé 👩‍👩‍👧‍👦 \u0000 \ud800 \u2028",
    [],
    [null, [1, [2]]],
    {},
    { a: undefined, b: null },
    new Date(0),
    { "": 1, " ": 2, "a.b": 3 },
    JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1, "toString": 2}'),
    { toJSON: () => ({ from: "toJSON" }) },
    [Number.NaN, Number.POSITIVE_INFINITY],
    "x".repeat(60_000),
  ];
  for (const value of values) {
    const expected = JSON.parse(JSON.stringify(value));
    assert.deepEqual(await peer.rpc.call("echo", value), expected);
    assert.deepEqual(await remote.rpc.call("echo", value), expected);
  }
  assert.equal({}.polluted, undefined);
  const proto = await peer.rpc.call("echo", JSON.parse('{"__proto__": 1}'));
  assert.deepEqual(Object.keys(proto), ["__proto__"]);
});

test("undefined is absent, null is null", async (t) => {
  const { peer, remote } = await startEcho(t);
  const seen = [];
  remote.rpc.handle("look", (...params) => {
    seen.push(params);
  });
  assert.equal(await peer.rpc.call("look"), undefined);
  assert.equal(await peer.rpc.call("look", undefined), undefined);
  assert.equal(await peer.rpc.call("look", null), undefined);
  assert.deepEqual(seen, [[undefined], [undefined], [null]]);
  assert.equal(await peer.rpc.call("echo", null), null);
});

test("a handler's error is the caller's rpc_error", async (t) => {
  const { peer, remote } = await startEcho(t);
  await assert.rejects(peer.rpc.call("fail", { message: "no – nein" }), (error) => {
    assert.ok(error instanceof RpcPeerError);
    assert.ok(error instanceof PeerError);
    assert.equal(error.name, "RpcPeerError");
    assert.equal(error.code, "rpc_error");
    assert.equal(error.message, "no – nein");
    assert.deepEqual(error.details, { wireCode: 2000, data: undefined });
    assert.doesNotMatch(error.stack, /calls\.test\.mjs:2\d:/, "the handler's stack stays where it is");
    return true;
  });
  peer.rpc.handle("reject", async () => {
    await null;
    throw new TypeError("later");
  });
  await assert.rejects(remote.rpc.call("reject"), { code: "rpc_error", message: "later" });
});

test("whatever a handler throws becomes a message", async (t) => {
  const { peer, remote } = await startEcho(t);
  const hostile = {
    get message() {
      throw new Error("hidden");
    },
  };
  const thrown = [
    ["a string", "a string"],
    [undefined, "undefined"],
    [null, "null"],
    [{ message: 7 }, "[object Object]"],
    [hostile, "the handler failed"],
    [Object.create(null), "the handler failed"],
  ];
  let next;
  remote.rpc.handle("throw", () => {
    throw next;
  });
  for (const [value, message] of thrown) {
    next = value;
    await assert.rejects(peer.rpc.call("throw"), { code: "rpc_error", message });
  }
});

test("an RpcPeerError keeps an application's code and data", async (t) => {
  const { peer, remote } = await startEcho(t);
  const details = { wireCode: 4711, data: { field: "name" } };
  remote.rpc.handle("coded", () => {
    throw new RpcPeerError("rpc_error", "not that one", { details });
  });
  remote.rpc.handle("reserved", () => {
    throw new RpcPeerError("rpc_error", "not there", { details: { wireCode: 1101 } });
  });
  await assert.rejects(peer.rpc.call("coded"), { message: "not that one", details });
  await assert.rejects(peer.rpc.call("reserved"), { message: "not there", details: { wireCode: 2000, data: undefined } });
});

test("a method without a handler is 1101", async (t) => {
  const { peer, remote } = await startEcho(t);
  for (const side of [peer, remote]) {
    await assert.rejects(side.rpc.call("missing"), (error) => {
      assert.equal(error.code, "rpc_error");
      assert.equal(error.details.wireCode, 1101);
      return true;
    });
  }
  await assert.rejects(peer.rpc.call("toString"), { code: "rpc_error" });
  await assert.rejects(peer.rpc.call("__proto__"), { code: "rpc_error" });
});

test("what JSON cannot carry is a TypeError, and nothing is sent", async (t) => {
  const { peer, remote } = await startEcho(t);
  const calls = [];
  remote.rpc.handle("count", () => calls.push(1));
  const cycle = {};
  cycle.self = cycle;
  let deep = [];
  for (let level = 0; level < 100_000; level++) deep = [deep];
  for (const value of [cycle, 1n, { big: 1n }, () => {}, Symbol("s"), deep]) {
    await assert.rejects(peer.rpc.call("count", value), TypeError);
  }
  await assert.rejects(
    peer.rpc.call("count", {
      toJSON() {
        throw new RangeError("mine");
      },
    }),
    TypeError,
  );
  assert.equal(await peer.rpc.call("echo", 1), 1);
  assert.deepEqual(calls, []);
});

test("a result that JSON cannot carry, or that is too large or too deep, is an rpc_error", async (t) => {
  const { peer, remote } = await startEcho(t);
  let deep = [];
  for (let level = 0; level < 1_000; level++) deep = [deep];
  const cycle = {};
  cycle.self = cycle;
  const results = { bigint: 1n, cycle, function: () => {}, large: "x".repeat(70_000), deep };
  remote.rpc.handle("give", (name) => results[name]);
  for (const name of Object.keys(results)) {
    await assert.rejects(peer.rpc.call("give", name), { code: "rpc_error", details: { wireCode: 2000, data: undefined } }, name);
  }
  remote.rpc.handle("shout", () => {
    throw new Error("x".repeat(70_000));
  });
  await assert.rejects(peer.rpc.call("shout"), (error) => error.message.startsWith("xxxx"));
  assert.equal(await peer.rpc.call("echo", 1), 1);
});

test("a message over the wire's limit is message_too_large, nesting over 128 a TypeError; the connection lives", async (t) => {
  const { peer } = await startEcho(t);
  await assert.rejects(peer.rpc.call("echo", "x".repeat(65_600)), { code: "message_too_large", name: "PeerError" });
  await assert.rejects(peer.rpc.call("x".repeat(65_600)), { code: "message_too_large" });
  const nested = (levels) => JSON.parse("[".repeat(levels) + "]".repeat(levels));
  await assert.rejects(peer.rpc.call("echo", nested(1_000)), TypeError);
  assert.deepEqual(await peer.rpc.call("echo", nested(100)), nested(100));
});

test("a call times out, and its late answer is dropped", async (t) => {
  const { peer, remote } = await startEcho(t);
  const gate = deferred();
  remote.rpc.handle("slow", () => gate.promise);
  await assert.rejects(peer.rpc.call("slow", undefined, { timeoutMs: 20 }), {
    code: "rpc_timeout",
    name: "RpcPeerError",
  });
  await assert.rejects(peer.rpc.call("slow", undefined, { timeoutMs: 0 }), { code: "rpc_timeout" });
  gate.resolve("late");
  assert.equal(await peer.rpc.call("echo", "in time"), "in time");
});

test("the default time-out comes from rpcPolicy, on both sides", async (t) => {
  const rpcPolicy = { defaultTimeoutMs: 30 };
  const { peer, remote } = await startEcho(t, { client: { rpcPolicy }, daemon: { rpcPolicy } });
  const never = () => new Promise(() => {});
  peer.rpc.handle("never", never);
  remote.rpc.handle("never", never);
  await assert.rejects(peer.rpc.call("never"), { code: "rpc_timeout" });
  await assert.rejects(remote.rpc.call("never"), { code: "rpc_timeout" });
});

test("abort rejects rpc_cancelled with the reason as cause", async (t) => {
  const { peer, remote } = await startEcho(t);
  const entered = deferred();
  remote.rpc.handle("never", () => {
    entered.resolve();
    return new Promise(() => {});
  });
  const controller = new AbortController();
  const call = peer.rpc.call("never", undefined, { signal: controller.signal });
  await entered.promise;
  const reason = new Error("enough");
  controller.abort(reason);
  await assert.rejects(call, (error) => {
    assert.equal(error.code, "rpc_cancelled");
    assert.equal(error.name, "RpcPeerError");
    assert.equal(error.cause, reason);
    return true;
  });
  await assert.rejects(peer.rpc.call("echo", 1, { signal: AbortSignal.abort() }), { code: "rpc_cancelled" });
  const unused = new AbortController();
  assert.equal(await peer.rpc.call("echo", 1, { signal: unused.signal }), 1);
  unused.abort();
});

test("bad arguments reject with a TypeError that names them", async (t) => {
  const { peer } = await startEcho(t);
  await assert.rejects(peer.rpc.call(7), { name: "TypeError", message: /method/ });
  await assert.rejects(peer.rpc.call("echo", 1, 7), { name: "TypeError", message: /options/ });
  await assert.rejects(peer.rpc.call("echo", 1, { timeoutMs: "1" }), { name: "TypeError", message: /timeoutMs/ });
  await assert.rejects(peer.rpc.call("echo", 1, { timeoutMs: -1 }), { name: "TypeError", message: /timeoutMs/ });
  await assert.rejects(peer.rpc.call("echo", 1, { signal: {} }), { name: "TypeError", message: /signal/ });
  assert.throws(() => peer.rpc.handle("x", 1), { name: "TypeError", message: /handler/ });
  assert.throws(() => peer.rpc.handle(1, () => {}), { name: "TypeError", message: /method/ });
});

test("tryCall never throws", async (t) => {
  const { peer } = await startEcho(t);
  assert.deepEqual(await peer.rpc.tryCall("echo", 1), { ok: true, value: 1, reconnected: false });
  const failed = await peer.rpc.tryCall("fail", { message: "no" });
  assert.equal(failed.ok, false);
  assert.equal(failed.error.message, "no");
  assert.equal(failed.reconnected, false);
  assert.ok((await peer.rpc.tryCall("echo", 1n)).error instanceof TypeError);
});

test("tryCall says that a call began before the peer was active", async (t) => {
  const { peer, account } = await startEcho(t);
  await peer.disconnect();
  const early = startClient(t, relay, account);
  assert.deepEqual(await early.rpc.tryCall("echo", 1), { ok: true, value: 1, reconnected: true });
});

test("one handler per method; removing it frees the name", async (t) => {
  const { peer, remote } = await startEcho(t);
  const off = peer.rpc.handle("twice", () => 1);
  assert.throws(() => peer.rpc.handle("twice", () => 2), { code: "rpc_method_already_registered" });
  assert.equal(await remote.rpc.call("twice"), 1);
  off();
  off();
  await assert.rejects(remote.rpc.call("twice"), { code: "rpc_error" });
  peer.rpc.handle("twice", () => 3);
  off();
  assert.equal(await remote.rpc.call("twice"), 3);
});

test("listMethods is sorted", async (t) => {
  const { peer } = await startEcho(t);
  assert.deepEqual(peer.rpc.listMethods(), []);
  for (const method of ["b", "a.b", "a"]) peer.rpc.handle(method, () => {});
  assert.deepEqual(peer.rpc.listMethods(), ["a", "a.b", "b"]);
});

test("the typed proxy calls by name, and is no promise", async (t) => {
  const { peer, remote } = await startEcho(t);
  remote.rpc.handle("user.get", ({ id }) => ({ id }));
  const api = peer.rpc.client();
  assert.equal(peer.rpc.client(), api, "one object per peer");
  assert.deepEqual(await api["user.get"]({ id: 1 }), { id: 1 });
  assert.equal(await api.echo("x", { timeoutMs: 5_000 }), "x");
  await assert.rejects(api.echo("x", { timeoutMs: "no" }), TypeError);
  assert.equal(await Promise.resolve(api), api);
  for (const name of ["then", "catch", "finally", Symbol.iterator, Symbol.toPrimitive]) {
    assert.equal(api[name], undefined);
  }
  assert.equal(api.toString, Object.prototype.toString);
  assert.equal(api.constructor, Object);
});

test("64 calls in flight answer each caller", async (t) => {
  const { peer } = await startEcho(t);
  const numbers = Array.from({ length: 640 }, (_, index) => index);
  assert.deepEqual(await Promise.all(numbers.map((number) => peer.rpc.call("echo", number))), numbers);
});

test("a handler that answers after its peer is gone harms nothing", async (t) => {
  const { peer, remote, server } = await startEcho(t);
  const gate = deferred();
  const entered = deferred();
  remote.rpc.handle("slow", async () => {
    entered.resolve();
    await gate.promise;
    return 1;
  });
  const call = peer.rpc.call("slow");
  await entered.promise;
  const rejected = assert.rejects(call, { code: "peer_closed" });
  await peer.disconnect();
  await rejected;
  gate.resolve();
  await server.close();
});
