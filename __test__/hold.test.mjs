// What comes in while `onConnection` is pending, and when `onConnection` is called.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createPeer } from "@sideband/cloud/peer";
import { listen } from "@sideband/cloud/peer/server";
import { atEnd } from "./support/ending.mjs";
import { startClient, startDaemon } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";
import { collected, deferred, reached, until } from "./support/wait.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

test("messages that nobody wants yet wait, in order", async (t) => {
  const gate = deferred();
  const seen = [];
  const { account } = await startDaemon(t, relay, {
    async onConnection(remote) {
      assert.equal(await remote.rpc.call("hello"), "from the client", "answers to its own calls arrive");
      await gate.promise;
      remote.events.on("number", (number) => seen.push(number));
      remote.rpc.handle("ask", (number) => (seen.push(number), number));
    },
  });
  const peer = startClient(t, relay, account);
  peer.rpc.handle("hello", () => "from the client");
  const answers = [];
  await peer.whenReady();
  for (let number = 0; number < 100; number += 2) {
    peer.events.emit("number", number);
    answers.push(peer.rpc.call("ask", number + 1));
  }
  gate.resolve();
  await Promise.all(answers);
  assert.deepEqual(
    seen,
    Array.from({ length: 100 }, (_, number) => number),
  );
});

test("a message that somebody wants does not wait", async (t) => {
  const gate = deferred();
  const { account } = await startDaemon(t, relay, {
    async onConnection(remote) {
      remote.rpc.handle("early", () => "answered");
      await gate.promise;
    },
  });
  const peer = startClient(t, relay, account);
  const unknown = peer.rpc.call("never");
  assert.equal(await peer.rpc.call("early"), "answered");
  gate.resolve();
  await assert.rejects(unknown, { code: "rpc_error", details: { wireCode: 1101, data: undefined } });
});

test("onConnection may wait for an event that came before it subscribed", async (t) => {
  const ready = deferred();
  const { account } = await startDaemon(t, relay, {
    async onConnection(remote) {
      await remote.rpc.call("start");
      await new Promise((resolve) => remote.events.on("started", resolve));
      ready.resolve();
    },
  });
  const peer = startClient(t, relay, account);
  peer.rpc.handle("start", () => {
    peer.events.emit("started");
  });
  await ready.promise;
});

test("1,024 messages wait and are delivered", async (t) => {
  const gate = deferred();
  const seen = [];
  const { account } = await startDaemon(t, relay, {
    async onConnection(remote) {
      remote.rpc.handle("pace", () => {});
      await gate.promise;
      remote.events.on("number", (number) => seen.push(number));
    },
  });
  const peer = startClient(t, relay, account);
  await peer.whenReady();
  for (let number = 0; number < 1_024; number++) {
    peer.events.emit("number", number);
    if (number % 200 === 199) await peer.rpc.call("pace");
  }
  await peer.rpc.call("pace");
  gate.resolve();
  await collected(seen, 1_024);
  assert.deepEqual(
    seen,
    Array.from({ length: 1_024 }, (_, number) => number),
  );
});

const ways = {
  events: (peer) => peer.events.emit("nobody"),
  requests: (peer) => void peer.rpc.call("nobody").catch(() => {}),
};

for (const [name, send] of Object.entries(ways)) {
  test(`a peer with more than 1,024 ${name} waiting is closed and told once, and the others go on`, async (t) => {
    const errors = [];
    const remotes = [];
    const told = [];
    const { server, account } = await startDaemon(t, relay, {
      onUnhandledError: (error) => errors.push(error),
      onConnection(remote) {
        remote.rpc.handle("echo", (value) => value);
        remote.on("error", (error) => told.push(error));
        // The first one's stays pending.
        if (remotes.push(remote) === 1) return new Promise(() => {});
      },
    });
    const peer = startClient(t, relay, account, { retryPolicy: { mode: "never" }, onUnhandledError() {} });
    await peer.whenReady();
    const other = startClient(t, relay, account);
    assert.equal(await other.rpc.call("echo", "before"), "before");
    const ended = new Promise((resolve) => peer.on("error", resolve));
    for (let number = 0; number < 3_000; number++) send(peer);
    // Signal close: the relay ends the client's session.
    assert.equal((await ended).cause.code, "session_expired");
    await until(() => errors.length > 0);
    assert.equal(remotes[0].state, "closed");
    assert.deepEqual([...server.connections.keys()], [remotes[1].peerId]);
    assert.equal(await other.rpc.call("echo", "after"), "after");
    const [error, ...more] = errors;
    assert.equal(error.code, "buffer_overflow");
    assert.match(error.message, /more than 1024 messages/);
    assert.deepEqual([more, told], [[], [error]]);
    await remotes[0].disconnect();
  });
}

test("a server of its own closes such a peer too", async (t) => {
  const errors = [];
  const server = await listen({
    endpoint: "ws://127.0.0.1:0",
    onUnhandledError: (error) => errors.push(error),
    onConnection: () => new Promise(() => {}),
  });
  atEnd(t, () => server.close());
  const peer = createPeer({ endpoint: server.address, onUnhandledError() {} });
  await peer.connect();
  for (let number = 0; number < 1_025; number++) peer.events.emit("nobody");
  await reached(peer, "closed");
  assert.deepEqual(
    errors.map(({ code }) => code),
    ["buffer_overflow"],
  );
  assert.equal(server.connections.size, 0);
});

test("an onConnection that throws or rejects closes that peer, and the error is reported", async (t) => {
  const errors = [];
  const failures = [new Error("sync"), new Error("async")];
  let count = 0;
  const { server, account } = await startDaemon(t, relay, {
    onUnhandledError: (error) => errors.push(error),
    onConnection() {
      const failure = failures[count++];
      if (failure === failures[0]) throw failure;
      if (failure === failures[1]) return Promise.reject(failure);
    },
  });
  for (const failure of failures) {
    const peer = startClient(t, relay, account, { retryPolicy: { mode: "never" }, onUnhandledError() {} });
    await reached(peer, "closed");
    await until(() => errors.includes(failure));
  }
  await until(() => server.connections.size === 0);
  const peer = startClient(t, relay, account);
  await peer.whenReady();
  assert.equal(errors.length, 2);
});

test("onConnection is first called after the code behind `await listen()` had its turn", async (t) => {
  const account = await relay.addDaemon();
  const peer = startClient(t, relay, account);
  const seen = [];
  let started;
  async function start() {
    const { server } = await startDaemon(t, relay, {
      account,
      onConnection() {
        seen.push(started?.daemonId);
      },
    });
    return server;
  }
  started = await start();
  await peer.whenReady();
  await collected(seen, 1);
  assert.deepEqual(seen, [account.daemonId]);
});

test("messages of a name keep their order, whenever its handler is registered", async (t) => {
  const gates = [deferred(), deferred()];
  const seen = [];
  const { account } = await startDaemon(t, relay, {
    async onConnection(remote) {
      remote.rpc.handle("pace", () => {});
      await gates[0].promise;
      remote.events.on("b", (number) => seen.push(`b${number}`));
      await gates[1].promise;
      remote.events.onPattern(">", (name, number) => seen.push(`${name}${number} by pattern`));
    },
  });
  const peer = startClient(t, relay, account);
  await peer.whenReady();
  const emit = async (...names) => {
    for (const [number, name] of names.entries()) peer.events.emit(name, number);
    await peer.rpc.call("pace");
  };
  await emit("a", "b", "a", "b");
  gates[0].resolve();
  await collected(seen, 2);
  await emit("b");
  await collected(seen, 3);
  gates[1].resolve();
  await collected(seen, 5);
  assert.deepEqual(seen, ["b1", "b3", "b0", "a0 by pattern", "a2 by pattern"]);
});
