// Options: what is wrong is told by its field, before anything is sent.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, createMemoryIdentityKeyStore, generateIdentityKeyPair, listen } from "@sideband/cloud";
import { createPeer, sbpNegotiator } from "@sideband/cloud/peer";
import { relayClientNegotiator, relayDaemonNegotiator } from "@sideband/cloud/peer/sbrp";
import { listen as listenPlain } from "@sideband/cloud/peer/server";
import { makeCertificate } from "./support/certificate.mjs";

const identityKeyPair = generateIdentityKeyPair();
const identityKeyStore = createMemoryIdentityKeyStore();
const endpoint = "ws://127.0.0.1:9";
const prompts = { onFirstConnection: () => true, onIdentityMismatch: () => true };

const good = {
  connect: { daemonId: "d", getAccessToken: () => "t", identityKeyStore },
  listen: { apiKey: "k", identityKeyPair, onConnection() {} },
  createPeer: { endpoint },
  listenPlain: { endpoint, onConnection() {} },
  relayClientNegotiator: { daemonId: "d", identityKeyStore, trustPolicy: "auto", sessionToken: "t" },
  relayDaemonNegotiator: { daemonId: "d", identityKeyPair },
  sbpNegotiator: {},
};
good.createRelayPeer = { endpoint, negotiator: relayClientNegotiator(good.relayClientNegotiator) };
const relayDaemon = relayDaemonNegotiator(good.relayDaemonNegotiator);
good.listenRelay = { endpoint, negotiator: relayDaemon, onConnection() {} };
const functions = {
  connect,
  listen,
  createPeer,
  createRelayPeer: createPeer,
  listenPlain,
  listenRelay: listenPlain,
  relayClientNegotiator,
  relayDaemonNegotiator,
  sbpNegotiator,
};

const policies = {
  rpcPolicy: [7, null, { defaultTimeoutMs: -1 }, { defaultTimeoutMs: "1" }, { defaultTimeoutMs: Number.NaN }],
  "rpcPolicy.disconnectBufferLimitBytes": [-1, 1.5, "1", Number.POSITIVE_INFINITY],
  eventPolicy: [7],
  "eventPolicy.maxBufferedEvents": [-1, 1.5, null],
};
const clientPolicies = {
  ...policies,
  "connectionPolicy.onDisconnect": ["wait", 1, null],
  "retryPolicy.mode": ["always", true],
  "retryPolicy.initialDelayMs": [-1, "1"],
  "retryPolicy.maxDelayMs": [-1, "1"],
  "retryPolicy.maxAttempts": [-1, 1.5],
  "retryPolicy.jitter": [-0.1, 1.1, "0"],
  onUnhandledError: [1, null],
};
const notStrings = [undefined, "", 7, null];
const notUrls = ["", 7, "nonsense", "ftp://host", "//host"];
const trust = {
  identityKeyStore: [undefined, null, 7, {}, { get() {} }, { set() {} }],
  trustPolicy: ["strict", "", null, 7],
  onFirstConnection: [1],
  onIdentityMismatch: ["x"],
};

const { cert } = makeCertificate(["localhost"]);
const dialling = {
  ca: [null, 7, "", "no PEM", {}, Buffer.from("no PEM"), cert.replace(/\n.+\n/, "\n"), cert.slice(0, 90), [cert, 7]],
  tokenInHeader: [null, "yes", 1],
};
const capabilities = ["stream", null, 7, {}, [7], ["a", null], new Array(1), ["x".repeat(20_000)]];

const bad = {
  connect: {
    ...clientPolicies,
    ...trust,
    ...dialling,
    daemonId: notStrings,
    getAccessToken: [undefined, "token", null],
    quickConnectCode: ["", 7, null],
    apiUrl: [...notUrls, "ws://host"],
  },
  listen: {
    ...policies,
    ...dialling,
    apiKey: notStrings,
    identityKeyPair: [undefined, null, 7],
    onConnection: [undefined, null, 1],
    daemonId: ["", 7, null],
    apiUrl: [...notUrls, "ws://host"],
    relayUrl: [...notUrls, "http://host"],
    signal: [7, {}],
    onUnhandledError: [1],
  },
  createPeer: {
    ...clientPolicies,
    endpoint: [undefined, ...notUrls, "http://host"],
    negotiator: [null, {}, 7, relayDaemonNegotiator(good.relayDaemonNegotiator)],
    peerId: ["", 7],
    ...dialling,
    // Plain SBP has no token.
    tokenInHeader: [true, false],
    transport: [{}, null],
  },
  listenPlain: {
    ...policies,
    endpoint: [undefined, ...notUrls, "http://host", "wss://host"],
    negotiator: [null, {}, relayClientNegotiator(good.relayClientNegotiator)],
    onConnection: [undefined, 1],
    signal: [7],
    // A port of its own reaches out to nobody.
    ca: [cert],
    tokenInHeader: [true, false],
    transport: [{}],
  },
  createRelayPeer: dialling,
  listenRelay: dialling,
  relayClientNegotiator: {
    ...trust,
    daemonId: notStrings,
    sessionToken: ["", 7, null],
    handshakeTimeoutMs: [-1, "1"],
    peerId: ["", 7],
    capabilities,
  },
  relayDaemonNegotiator: {
    daemonId: notStrings,
    identityKeyPair: [undefined, 7],
    presenceToken: ["", 7, null],
    handshakeTimeoutMs: [-1, "1"],
    peerId: ["", 7],
    capabilities,
  },
  sbpNegotiator: { peerId: ["", 7], handshakeTimeoutMs: [-1, "1"], capabilities },
};

/** The options with one field, of a policy perhaps, replaced. */
function withField(options, path, value) {
  const [field, inner] = path.split(".");
  return { ...options, [field]: inner === undefined ? value : { ...options[field], [inner]: value } };
}

for (const [name, fields] of Object.entries(bad)) {
  test(`${name}: each bad option is a TypeError that names it`, async () => {
    for (const [path, values] of Object.entries(fields)) {
      for (const value of values) {
        const options = withField(good[name], path, value);
        const check = (error) => {
          assert.equal(error.name, "TypeError", `${path}: ${error}`);
          const [field] = path.split(".");
          assert.ok(error.message.includes(field), `${path}: ${error.message}`);
          return true;
        };
        // Those that give a promise reject; the others throw at once.
        if (name.startsWith("listen")) await assert.rejects(functions[name](options), check);
        else assert.throws(() => functions[name](options), check, `${path} ${String(value)}`);
      }
    }
    for (const options of name === "sbpNegotiator" ? [null, 7] : [undefined, null, 7]) {
      if (name.startsWith("listen")) await assert.rejects(functions[name](options), TypeError);
      else assert.throws(() => functions[name](options), TypeError);
    }
  });
}

test('"prompt" without both callbacks throws at once, and names what is missing', () => {
  for (const missing of Object.keys(prompts)) {
    const callbacks = { ...prompts, [missing]: undefined };
    const check = { name: "TypeError", message: new RegExp(missing) };
    assert.throws(() => connect({ ...good.connect, trustPolicy: "prompt", ...callbacks }), check);
    const { trustPolicy, ...negotiator } = good.relayClientNegotiator;
    assert.equal(trustPolicy, "auto");
    assert.throws(() => relayClientNegotiator({ ...negotiator, ...callbacks }), check);
  }
});

test("an account and a Quick Connect code exclude each other", () => {
  const check = { name: "TypeError", message: /quickConnectCode/ };
  assert.throws(() => connect({ ...good.connect, quickConnectCode: "c" }), check);
});

test("a bad certificate in an array is named by its place", () => {
  const check = { name: "TypeError", message: /^ca\[1\]: holds no PEM certificate$/ };
  assert.throws(() => connect({ ...good.connect, ca: [cert, "-"] }), check);
});

test("no message shows the token in an endpoint", () => {
  assert.throws(
    () => createPeer({ endpoint: "http://host?token=hidden" }),
    (error) => !error.message.includes("hidden"),
  );
});

test("good options make idle peers", async () => {
  const negotiators = [undefined, sbpNegotiator(), relayClientNegotiator(good.relayClientNegotiator)];
  for (const negotiator of negotiators) {
    const peer = createPeer({ endpoint, negotiator, retryPolicy: { maxAttempts: Number.POSITIVE_INFINITY } });
    assert.equal(peer.state, "idle");
    await peer.disconnect();
  }
});
