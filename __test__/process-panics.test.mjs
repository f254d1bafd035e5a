// A panic in the addon costs the operation it happened in, and nothing else. The faults are armed through src/hooks.rs,
// whose export is there only for programs that ask for it before the addon is loaded.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { renewPresenceToken } from "@sideband/cloud";
import { createPeer } from "@sideband/cloud/peer";
import { listen } from "@sideband/cloud/peer/server";
import addon from "../lib/native.js";
import { atEnd } from "./support/ending.mjs";
import { startClient, startDaemon, startPair } from "./support/peers.mjs";
import { startProgram } from "./support/programs.mjs";
import { startRelay } from "./support/relay.mjs";
import { collected, deferred, reached } from "./support/wait.mjs";

process.env.SIDEBAND_TEST_HOOKS = "1";
// The panics are told on standard error, and need not be told at length.
process.env.RUST_BACKTRACE = "0";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

const echo = (remote) => remote.rpc.handle("echo", (value) => value);
const panicAt = (point, times = 1) => addon.native().panicAt(point, times);

/** A pair that has nothing to do with the fault; the function says that it still works, as do new ones. */
async function startBystander(t) {
  const { peer, account } = await startPair(t, relay, { onConnection: echo });
  return async () => {
    assert.equal(await peer.rpc.call("echo", "still here"), "still here");
    const another = startClient(t, relay, account);
    assert.equal(await another.rpc.call("echo", "new"), "new");
  };
}

for (const value of [undefined, "", "0", "true"]) {
  test(`with SIDEBAND_TEST_HOOKS=${value} no fault can be armed`, async () => {
    const path = fileURLToPath(new URL("../lib/native.js", import.meta.url));
    const script = `console.log(typeof require(${JSON.stringify(path)}).native().panicAt)`;
    const { code, lines } = await startProgram(["-e", script], { env: { SIDEBAND_TEST_HOOKS: value } }).closed;
    assert.equal(code, 0);
    assert.deepEqual(lines, ["undefined"]);
  });
}

test("in a synchronous export: that call fails", async (t) => {
  const bystander = await startBystander(t);
  const { peer } = await startPair(t, relay, { onConnection: echo });
  panicAt("call");
  await assert.rejects(peer.rpc.call("echo", 1), /panic was caught/);
  assert.equal(peer.state, "active");
  assert.equal(await peer.rpc.call("echo", 2), 2);
  await bystander();
});

test("in the answer of a callback: that attempt fails, and the next one asks again", async (t) => {
  const bystander = await startBystander(t);
  const { account } = await startDaemon(t, relay, { onConnection: echo });
  let asked = 0;
  const failed = [];
  panicAt("answer");
  const peer = startClient(t, relay, account, {
    getAccessToken: () => ((asked += 1), account.accessToken),
  });
  peer.on("stateChange", ({ state }) => failed.push(state));
  assert.equal(await peer.rpc.call("echo", 1), 1);
  assert.equal(asked, 2);
  assert.deepEqual(failed, ["reconnecting", "connecting", "negotiating", "active"]);
  await bystander();
});

test("in a client's task: that client closes, its error is reported, its calls fail", async (t) => {
  const bystander = await startBystander(t);
  const unhandled = [];
  const { peer } = await startPair(t, relay, {
    onConnection: echo,
    client: { onUnhandledError: (error) => unhandled.push(error) },
  });
  panicAt("result");
  const calls = [peer.rpc.call("echo", 1), peer.rpc.call("echo", 2)];
  for (const call of calls) await assert.rejects(call, { code: "peer_closed", message: /panicked/ });
  assert.equal(peer.state, "closed");
  assert.equal(unhandled.length, 1);
  assert.match(unhandled[0].cause.message, /panicked/);
  await peer.disconnect();
  await bystander();
});

test("in a daemon's task, over one client's message: that client's session ends", async (t) => {
  const bystander = await startBystander(t);
  const unhandled = [];
  const { server, account, peer, remote } = await startPair(t, relay, {
    onConnection: echo,
    daemon: { onUnhandledError: (error) => unhandled.push(error) },
  });
  const other = startClient(t, relay, account);
  assert.equal(await other.rpc.call("echo", 0), 0);
  const states = [];
  other.on("stateChange", ({ state }) => states.push(state));
  panicAt("request");
  await assert.rejects(peer.rpc.call("echo", 1), { code: "not_connected" });
  assert.equal(remote.state, "closed");
  await collected(unhandled, 1);
  assert.match(unhandled[0].message, /panicked/);
  assert.equal(await other.rpc.call("echo", 2), 2);
  assert.deepEqual(states, []);
  assert.equal(await peer.rpc.call("echo", 3), 3, "it reconnects by its policy");
  assert.equal(server.connections.size, 2);
  assert.equal(unhandled.length, 1);
  await bystander();
});

test("in a daemon's task at large: that daemon closes with its peers, and its error is reported", async (t) => {
  const bystander = await startBystander(t);
  const reported = deferred();
  const { server, account, remote, peer } = await startPair(t, relay, {
    onConnection: echo,
    daemon: { onUnhandledError: reported.resolve },
    client: { retryPolicy: { mode: "never" }, onUnhandledError() {} },
  });
  panicAt("link");
  await relay.cutDaemon(account.daemonId);
  assert.match((await reported.promise).message, /panicked/);
  assert.equal(remote.state, "closed");
  assert.equal(server.connections.size, 0);
  await assert.rejects(remote.rpc.call("echo", 1), { code: "peer_closed" });
  await server.close();
  await peer.disconnect();
  await bystander();
});

test("in a connection of a server on a port of its own: that connection ends", async (t) => {
  const unhandled = [];
  const server = await listen({
    endpoint: "ws://127.0.0.1:0",
    onConnection: echo,
    onUnhandledError: (error) => unhandled.push(error),
  });
  atEnd(t, () => server.close());
  const peers = [0, 1].map(() => createPeer({ endpoint: server.address, onUnhandledError() {} }));
  for (const peer of peers) {
    atEnd(t, () => peer.disconnect());
    await peer.connect();
  }
  panicAt("request");
  await assert.rejects(peers[0].rpc.call("echo", 1));
  await reached(peers[0], "closed");
  await collected(unhandled, 1);
  assert.match(unhandled[0].message, /panicked/);
  assert.equal(await peers[1].rpc.call("echo", 2), 2);
  assert.equal(unhandled.length, 1);
});

test("in the task of a request to the control plane: that request fails", async (t) => {
  const bystander = await startBystander(t);
  const { server, account } = await startDaemon(t, relay);
  panicAt("api");
  await assert.rejects(server.createQuickConnect(), /panicked/);
  assert.match((await server.createQuickConnect()).code, /^[a-z]{4}-/);
  panicAt("api");
  await assert.rejects(renewPresenceToken(account.apiKey, relay.apiUrl), /panicked/);
  assert.equal(typeof (await renewPresenceToken(account.apiKey, relay.apiUrl)), "string");
  await bystander();
});

test("in the callback that hands records to JavaScript: they come all the same, in order, and it is told once", async (t) => {
  const { peer, remote } = await startPair(t, relay, { onConnection: echo });
  const told = t.mock.method(console, "error", () => {});
  const seen = [];
  remote.events.on("number", (number) => seen.push(number));
  panicAt("batch", 3);
  for (let number = 0; number < 100; number++) peer.events.emit("number", number);
  assert.equal(await peer.rpc.call("echo", 1), 1);
  assert.deepEqual(
    seen,
    Array.from({ length: 100 }, (_, number) => number),
  );
  assert.equal(told.mock.callCount(), 1);
  assert.match(told.mock.calls[0].arguments[0].message, /could not be handed over/);
});
