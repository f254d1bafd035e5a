// A lost connection comes back, by the retry policy, or does not.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createPeer } from "@sideband/cloud/peer";
import { CloudApiError, PeerError, connect, createMemoryIdentityKeyStore } from "@sideband/cloud";
import { atEnd } from "./support/ending.mjs";
import { QUICK_RETRY, startClient, startDaemon, startPair } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";
import { collected, deferred, reached } from "./support/wait.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

/** Cuts the client's connection at the relay. */
async function cut(account) {
  const session = (await relay.sessions()).find(({ daemonId }) => daemonId === account.daemonId);
  await relay.cutSession(session.sessionId);
}

/** A port that nobody listens on. */
const NOWHERE = "http://127.0.0.1:9";

test("a cut connection comes back, with handlers and subscriptions", async (t) => {
  const seen = [];
  const remotes = [];
  const { server, account, peer } = await startPair(t, relay, {
    onConnection(remote) {
      remotes.push(remote);
      remote.rpc.handle("echo", (value) => value);
    },
  });
  peer.events.on("event", (data) => seen.push(data));
  peer.rpc.handle("whoami", () => "the client");
  const log = [];
  peer.on("stateChange", ({ state }) => log.push(state));
  for (const event of ["connected", "disconnected", "reconnecting"]) peer.on(event, () => log.push(event));
  const cycle = deferred();
  peer.on("reconnecting", () => cycle.resolve(peer.reconnecting));
  await cut(account);
  assert.deepEqual(await cycle.promise, { status: "connected" });
  assert.equal(peer.reconnecting, undefined);
  assert.deepEqual(log, [
    "reconnecting",
    "disconnected",
    "reconnecting",
    "connecting",
    "negotiating",
    "active",
    "connected",
  ]);
  assert.equal(await peer.rpc.call("echo", "again"), "again");
  await collected(remotes, 2);
  assert.equal(await remotes[1].rpc.call("whoami"), "the client");
  remotes[1].events.emit("event", 1);
  await collected(seen, 1);
  assert.notEqual(remotes[0], remotes[1], "the daemon sees another peer");
  await reached(remotes[0], "closed");
  assert.deepEqual([...server.connections.values()], [remotes[1]]);
});

test("calls in flight reject not_connected when the connection drops", async (t) => {
  const entered = deferred();
  const { account, peer } = await startPair(t, relay, {
    onConnection(remote) {
      remote.rpc.handle("never", () => (entered.resolve(), new Promise(() => {})));
    },
  });
  const call = peer.rpc.call("never");
  await entered.promise;
  const rejected = assert.rejects(call, { code: "not_connected", name: "PeerError" });
  await cut(account);
  await rejected;
  await peer.whenReady();
});

test("a daemon that closes in order, and another in its place: the client finds it", async (t) => {
  const { server, account, peer } = await startPair(t, relay);
  const left = reached(peer, "reconnecting");
  await server.close();
  await left;
  const waiting = peer.rpc.call("echo", 7, { timeoutMs: 60_000 });
  const outcome = peer.reconnecting;
  await startDaemon(t, relay, { account, onConnection: (remote) => remote.rpc.handle("echo", (value) => value) });
  assert.equal(await waiting, 7);
  assert.deepEqual(await outcome, { status: "connected" });
});

test("disconnect() during a reconnect aborts the cycle", async (t) => {
  const { server, peer } = await startPair(t, relay);
  const left = reached(peer, "reconnecting");
  await server.close();
  await left;
  const outcome = peer.reconnecting;
  await peer.disconnect();
  assert.deepEqual(await outcome, { status: "aborted" });
  assert.equal(peer.reconnecting, undefined);
});

test("retries are counted: exhausted, the peer closes with a PeerError that has a cause", async (t) => {
  const errors = [];
  let attempts = 0;
  const peer = startClient(
    t,
    relay,
    { daemonId: "d" },
    {
      apiUrl: NOWHERE,
      getAccessToken: () => ((attempts += 1), "token"),
      retryPolicy: { ...QUICK_RETRY, maxAttempts: 3 },
      onUnhandledError: (error) => errors.push(error),
    },
  );
  const cycle = deferred();
  peer.on("reconnecting", () => cycle.resolve(peer.reconnecting));
  const heard = [];
  peer.on("error", (error) => heard.push(error));
  await assert.rejects(peer.whenReady(), { code: "peer_closed" });
  const outcome = await cycle.promise;
  assert.equal(attempts, 4, "the first attempt and three more");
  assert.equal(errors.length, 1);
  assert.ok(errors[0] instanceof PeerError);
  assert.match(errors[0].cause.message, /127\.0\.0\.1/, "the cause names the host");
  assert.deepEqual(outcome, { status: "failed", error: errors[0] });
  assert.deepEqual(heard, errors);
});

test("without retries the first failure is the last", async (t) => {
  const errors = [];
  let attempts = 0;
  const peer = startClient(
    t,
    relay,
    { daemonId: "d" },
    {
      apiUrl: NOWHERE,
      getAccessToken: () => ((attempts += 1), "token"),
      retryPolicy: { mode: "never" },
      onUnhandledError: (error) => errors.push(error),
    },
  );
  await assert.rejects(peer.whenReady(), { code: "peer_closed" });
  assert.equal(attempts, 1);
  assert.ok(errors[0] instanceof PeerError);
  assert.equal(peer.reconnecting, undefined);
});

test("createPeer does not retry by default, and connect() carries the error instead of the console", async (t) => {
  t.mock.method(console, "error", () => {});
  const peer = createPeer({ endpoint: "ws://127.0.0.1:9" });
  const heard = [];
  peer.on("error", (error) => heard.push(error));
  await assert.rejects(peer.connect(), (error) => {
    assert.ok(error instanceof PeerError);
    assert.match(error.cause.message, /127\.0\.0\.1/);
    assert.deepEqual(heard, [error]);
    return true;
  });
  assert.equal(peer.state, "closed");
  assert.equal(console.error.mock.callCount(), 0);
});

test("a fatal answer of the control plane closes with the bare CloudApiError", async (t) => {
  const account = await relay.addDaemon();
  const cases = [
    [{ ...account, accessToken: "sbnd_uat_wrong" }, 401],
    [{ ...account, daemonId: "d_nobody" }, 404],
  ];
  for (const [wrong, status] of cases) {
    const errors = [];
    const peer = startClient(t, relay, wrong, { onUnhandledError: (error) => errors.push(error) });
    await assert.rejects(peer.whenReady(), (error) => error.code === "peer_closed" && error.cause.status === status);
    assert.equal(errors.length, 1);
    assert.ok(errors[0] instanceof CloudApiError);
    assert.equal(errors[0].name, "CloudApiError");
    assert.equal(errors[0].status, status);
    assert.equal(peer.state, "closed");
    assert.doesNotMatch(`${errors[0].stack}`, /sbnd_uat/);
  }
});

test("a daemon that is offline is waited for", async (t) => {
  const account = await relay.addDaemon();
  const peer = startClient(t, relay, account);
  await reached(peer, "reconnecting");
  await startDaemon(t, relay, { account });
  await peer.whenReady();
});

test("the access token is asked for before every attempt, and its failure is retried", async (t) => {
  const { account } = await startDaemon(t, relay);
  const answers = [
    () => {
      throw new Error("sync");
    },
    () => Promise.reject(new Error("async")),
    () => undefined,
    () => 7,
    () => account.accessToken,
  ];
  let seenThis;
  const options = {
    getAccessToken() {
      seenThis = this;
      return answers.shift()();
    },
    daemonId: account.daemonId,
    apiUrl: relay.apiUrl,
    identityKeyStore: createMemoryIdentityKeyStore(),
    retryPolicy: QUICK_RETRY,
  };
  const peer = connect(options);
  atEnd(t, () => peer.disconnect());
  await peer.whenReady();
  assert.equal(seenThis, options);
  assert.equal(answers.length, 0);
});

test("the error of a token callback comes back as the very same object", async (t) => {
  const account = await relay.addDaemon();
  const thrown = new Error("no token today");
  const errors = [];
  const peer = startClient(t, relay, account, {
    getAccessToken: async () => {
      throw thrown;
    },
    retryPolicy: { mode: "never" },
    onUnhandledError: (error) => errors.push(error),
  });
  await assert.rejects(peer.whenReady(), { code: "peer_closed" });
  assert.equal(errors[0].cause, thrown);
});
