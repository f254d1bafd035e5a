// Every callback of the API, misbehaving in every way: what it was called for fails, as the contract says, and nothing else.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createMemoryIdentityKeyStore, generateIdentityKeyPair } from "@sideband/cloud";
import { createPeer } from "@sideband/cloud/peer";
import { relayClientNegotiator, relayDaemonNegotiator } from "@sideband/cloud/peer/sbrp";
import { listen } from "@sideband/cloud/peer/server";
import { atEnd } from "./support/ending.mjs";
import { QUICK_RETRY, startClient, startDaemon, startPair } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";
import { createPresence, createSession } from "./support/sessions.mjs";
import { collected, deferred, reached } from "./support/wait.mjs";

let relay;
let bystander;
before(async () => {
  relay = await startRelay();
  const ends = [];
  bystander = await startPair({ after: (end) => ends.push(end) }, relay, { onConnection: echo });
  bystander.stop = async () => {
    for (const end of ends) await end();
  };
});
after(async () => {
  await bystander.stop();
  await relay.stop();
});

const echo = (remote) => remote.rpc.handle("echo", (value) => value);

const unprintable = {
  get message() {
    throw new Error("no message");
  },
  toString() {
    throw new Error("no text");
  },
};

function revoked() {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

/** Ways to fail: what each does is a failure of the callback, wherever it is called. */
const FAILURES = {
  "throws an Error": () => {
    throw new Error("fault");
  },
  "throws nothing": () => {
    throw undefined;
  },
  "throws a symbol": () => {
    throw Symbol("fault");
  },
  "throws what has no text": () => {
    throw unprintable;
  },
  "throws an Error whose message is none": () => {
    throw Object.assign(new Error("fault"), { message: { deep: 1n } });
  },
  "rejects with an Error": async () => {
    throw new Error("fault");
  },
  "rejects with nothing": () => Promise.reject(),
  "gives a thenable that rejects": () => ({ then: (_resolve, reject) => reject(new Error("fault")) }),
  "gives a thenable that throws": () => ({
    get then() {
      throw new Error("fault");
    },
  }),
  "gives a revoked proxy": revoked,
};

/** Ways to answer with a value of a wrong type. */
const WRONG = {
  "gives a number": () => 42,
  "gives a symbol": () => Symbol("wrong"),
  "gives a function": () => () => {},
  "gives a BigInt": async () => 42n,
  "gives an object": async () => ({ length: 32 }),
};

/** Misbehaves once, then does what it should. */
function once(fault, good) {
  let calls = 0;
  return (...values) => (calls++ === 0 ? fault() : good(...values));
}

/** One test per fault, each with a look at those who have nothing to do with it. */
function each(what, faults, run) {
  for (const [how, fault] of Object.entries(faults)) {
    test(`${what} ${how}`, async (t) => {
      await run(t, fault, how);
      assert.equal(await bystander.peer.rpc.call("echo", how), how);
    });
  }
}

/** The attempt fails, with an error to show for it, and the next one connects. */
async function secondAttemptConnects(t, account, options) {
  const states = [];
  const peer = startClient(t, relay, account, options);
  peer.on("stateChange", ({ state }) => states.push(state));
  assert.equal(await peer.rpc.call("echo", 1), 1);
  assert.equal(states.filter((state) => state === "reconnecting").length, 1);
}

/** The attempt is the last: the peer closes with an error, and pins nothing. */
async function closesAtOnce(t, account, options) {
  const reported = [];
  const peer = startClient(t, relay, account, { ...options, onUnhandledError: (error) => reported.push(error) });
  await reached(peer, "closed");
  await assert.rejects(peer.whenReady(), { code: "peer_closed" });
  assert.equal(reported.length, 1);
  return reported[0];
}

each("getAccessToken", { ...FAILURES, ...WRONG, "gives an empty string": () => "" }, async (t, fault) => {
  const { account } = bystander;
  await secondAttemptConnects(t, account, { getAccessToken: once(fault, () => account.accessToken) });
});

const stored = (methods) => Object.assign(createMemoryIdentityKeyStore(), methods);

each("store.get", FAILURES, async (t, fault) => {
  const { account } = bystander;
  await secondAttemptConnects(t, account, { identityKeyStore: stored({ get: once(fault, () => null) }) });
});

each("store.get", { ...WRONG, "gives 31 bytes": () => new Uint8Array(31) }, async (t, fault) => {
  const { account } = bystander;
  const error = await closesAtOnce(t, account, { identityKeyStore: stored({ get: fault }) });
  assert.ok(error.cause instanceof TypeError, error.message);
});

each("store.set", FAILURES, async (t, fault) => {
  const { account } = bystander;
  await secondAttemptConnects(t, account, { identityKeyStore: stored({ set: once(fault, () => {}) }) });
});

each("store.set", WRONG, async (t, fault) => {
  const { account } = bystander;
  const peer = startClient(t, relay, account, { identityKeyStore: stored({ set: fault }) });
  assert.equal(await peer.rpc.call("echo", 1), 1, "what it gives is nobody's business");
});

for (const prompt of ["onFirstConnection", "onIdentityMismatch"]) {
  const other = prompt === "onFirstConnection" ? "onIdentityMismatch" : "onFirstConnection";
  each(prompt, { ...FAILURES, ...WRONG, 'gives "true"': () => "true" }, async (t, fault) => {
    const { account } = bystander;
    const identityKeyStore = createMemoryIdentityKeyStore();
    const { publicKey } = generateIdentityKeyPair();
    const pin = prompt === "onIdentityMismatch" ? publicKey : null;
    if (pin !== null) await identityKeyStore.set(account.daemonId, pin);
    const callbacks = { [prompt]: fault, [other]: () => true };
    const error = await closesAtOnce(t, account, { trustPolicy: "prompt", identityKeyStore, ...callbacks });
    assert.equal(error.cause.name, "SbrpError");
    assert.deepEqual(await identityKeyStore.get(account.daemonId), pin);
  });
}

each("onConnection", FAILURES, async (t, fault) => {
  const reported = [];
  let calls = 0;
  const { server, account } = await startDaemon(t, relay, {
    onConnection: (remote) => (calls++ === 0 ? fault() : echo(remote)),
    onUnhandledError: (error) => reported.push(error),
  });
  const peer = startClient(t, relay, account);
  await reached(peer, "reconnecting");
  assert.equal(await peer.rpc.call("echo", 1), 1, "it comes again, and stays");
  assert.equal(server.connections.size, 1);
  assert.equal(reported.length, 1);
});

each("onConnection", WRONG, async (t, fault) => {
  const { peer } = await startPair(t, relay, { onConnection: (remote) => (echo(remote), fault()) });
  assert.equal(await peer.rpc.call("echo", 1), 1);
});

const UNCARRIED = Object.fromEntries(
  Object.entries(WRONG).filter(([how]) => !["gives a number", "gives an object"].includes(how)),
);

each("a handler", { ...FAILURES, ...UNCARRIED }, async (t, fault) => {
  const { peer } = await startPair(t, relay, {
    onConnection: (remote) => (echo(remote), remote.rpc.handle("fault", fault)),
  });
  await assert.rejects(peer.rpc.call("fault"), { code: "rpc_error", details: { wireCode: 2000, data: undefined } });
  assert.equal(await peer.rpc.call("echo", 1), 1);
});

each("a subscriber", FAILURES, async (t, fault) => {
  const reported = [];
  const { peer, remote } = await startPair(t, relay, {
    daemon: { onUnhandledError: (error) => reported.push(error) },
  });
  const seen = deferred();
  remote.events.on("event", fault);
  remote.events.onPattern(">", fault);
  remote.events.on("event", seen.resolve);
  peer.events.emit("event", 1);
  assert.equal(await seen.promise, 1);
  await collected(reported, 2);
});

each("a listener", FAILURES, async (t, fault) => {
  const reported = [];
  const { account } = bystander;
  const peer = startClient(t, relay, account, { onUnhandledError: (error) => reported.push(error) });
  for (const event of ["stateChange", "connected", "disconnected"]) peer.on(event, fault);
  assert.equal(await peer.rpc.call("echo", 1), 1);
  await peer.disconnect();
  // connecting → negotiating → active → closed, connected and disconnected
  await collected(reported, 5);
});

each("onUnhandledError", FAILURES, async (t, fault) => {
  const told = t.mock.method(console, "error", () => {});
  const { peer, remote } = await startPair(t, relay, { onConnection: echo, daemon: { onUnhandledError: fault } });
  remote.events.on("event", () => {
    throw new Error("the first");
  });
  peer.events.emit("event");
  assert.equal(await peer.rpc.call("echo", 1), 1);
  await collected(told.mock.calls, 1);
});

each("sessionToken", { ...FAILURES, ...WRONG }, async (t, fault) => {
  const { account } = bystander;
  const { relayUrl, token } = await createSession(relay, account);
  const negotiator = relayClientNegotiator({
    daemonId: account.daemonId,
    sessionToken: once(fault, () => token),
    identityKeyStore: createMemoryIdentityKeyStore(),
    trustPolicy: "auto",
  });
  const peer = createPeer({ endpoint: relayUrl, negotiator, retryPolicy: QUICK_RETRY });
  atEnd(t, () => peer.disconnect());
  await peer.connect();
  assert.equal(await peer.rpc.call("echo", 1), 1);
});

// All at once: a daemon's first retry comes after a second.
test("presenceToken in every way: reported, and asked for again", async (t) => {
  const every = Object.entries({ ...FAILURES, ...WRONG }).map(async ([how, fault]) => {
    const account = await relay.addDaemon();
    const presence = await createPresence(relay, account);
    const reported = [];
    const server = await listen({
      endpoint: relay.relayUrl,
      negotiator: relayDaemonNegotiator({
        daemonId: account.daemonId,
        identityKeyPair: generateIdentityKeyPair(),
        presenceToken: once(fault, () => presence),
      }),
      onConnection: echo,
      onUnhandledError: (error) => reported.push(error),
    });
    atEnd(t, () => server.close());
    assert.equal(reported.length, 1, how);
    const peer = startClient(t, relay, account);
    assert.equal(await peer.rpc.call("echo", how), how);
  });
  await Promise.all(every);
});
