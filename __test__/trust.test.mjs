// Every row of the trust table, with what the store holds afterwards, and a forged handshake.
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { WebSocketServer } from "ws";
import { createMemoryIdentityKeyStore, generateIdentityKeyPair } from "@sideband/cloud";
import { createPeer } from "@sideband/cloud/peer";
import { relayClientNegotiator } from "@sideband/cloud/peer/sbrp";
import { SbrpError, computeFingerprint } from "@sideband/cloud/secure-relay";
import { atEnd } from "./support/ending.mjs";
import { QUICK_RETRY, startClient, startDaemon } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

/** A daemon, and a store with the pin that the row wants. */
async function startRow(t, pin) {
  const identityKeyPair = generateIdentityKeyPair();
  const { account } = await startDaemon(t, relay, { identityKeyPair });
  const store = createMemoryIdentityKeyStore();
  const other = generateIdentityKeyPair().publicKey;
  if (pin !== "none") await store.set(account.daemonId, pin === "equal" ? identityKeyPair.publicKey : other);
  return { account, store, key: identityKeyPair.publicKey, other };
}

/** Connects, and says how it ended: `"active"`, or the error whose cause the refusal is. */
async function outcome(t, account, store, options) {
  const errors = [];
  const states = [];
  const peer = startClient(t, relay, account, {
    identityKeyStore: store,
    onUnhandledError: (error) => errors.push(error),
    ...options,
  });
  peer.on("stateChange", ({ state }) => states.push(state));
  try {
    await peer.whenReady();
    return { state: "active" };
  } catch (error) {
    assert.equal(peer.state, "closed");
    assert.ok(!states.includes("reconnecting"), "a refusal is never retried");
    assert.equal(errors.length, 1);
    assert.equal(error.code, "peer_closed");
    assert.equal(error.cause, errors[0].cause);
    assert.ok(error.cause instanceof SbrpError, `${error.cause}`);
    return { state: "closed", code: error.cause.code, cause: error.cause.cause };
  }
}

function prompts(answer) {
  const asked = [];
  return {
    asked,
    callbacks: {
      onFirstConnection: (info) => (asked.push(["first", info]), answer()),
      onIdentityMismatch: (info) => (asked.push(["mismatch", info]), answer()),
    },
  };
}

for (const { policy, pin, answer, ends, code, holds, asks } of [
  { policy: "auto", pin: "none", ends: "active", holds: "key" },
  { policy: "auto", pin: "equal", ends: "active", holds: "key" },
  { policy: "auto", pin: "differs", ends: "active", holds: "key" },
  { policy: "prompt", pin: "none", answer: true, ends: "active", holds: "key", asks: "first" },
  { policy: "prompt", pin: "none", answer: false, ends: "closed", code: "handshake_failed", asks: "first" },
  { policy: "prompt", pin: "equal", answer: false, ends: "active", holds: "key" },
  { policy: "prompt", pin: "differs", answer: true, ends: "active", holds: "key", asks: "mismatch" },
  {
    policy: "prompt",
    pin: "differs",
    answer: false,
    ends: "closed",
    code: "identity_key_changed",
    holds: "other",
    asks: "mismatch",
  },
  { policy: "pinned-only", pin: "none", ends: "closed", code: "handshake_failed" },
  { policy: "pinned-only", pin: "equal", ends: "active", holds: "key" },
  { policy: "pinned-only", pin: "differs", ends: "closed", code: "identity_key_changed", holds: "other" },
]) {
  const says = answer === undefined ? "" : `, answered ${answer}`;
  test(`"${policy}", pin ${pin}${says}: ${ends}`, async (t) => {
    const { account, store, key, other } = await startRow(t, pin);
    const { asked, callbacks } = prompts(async () => answer);
    const ended = await outcome(t, account, store, { trustPolicy: policy, ...callbacks });
    assert.deepEqual([ended.state, ended.code], [ends, code]);
    const expected = { key, other }[holds] ?? null;
    assert.deepEqual(await store.get(account.daemonId), expected);
    const infos = {
      first: { fingerprint: computeFingerprint(key) },
      mismatch: { expectedFingerprint: computeFingerprint(other), receivedFingerprint: computeFingerprint(key) },
    };
    assert.deepEqual(asked, asks === undefined ? [] : [[asks, infos[asks]]]);
  });
}

test("a re-pin after a prompt is for good", async (t) => {
  const { account, store } = await startRow(t, "differs");
  const first = prompts(() => true);
  await outcome(t, account, store, { trustPolicy: "prompt", ...first.callbacks });
  const second = prompts(() => false);
  assert.equal((await outcome(t, account, store, { trustPolicy: "prompt", ...second.callbacks })).state, "active");
  assert.equal((await outcome(t, account, store, { trustPolicy: "pinned-only" })).state, "active");
  assert.deepEqual(second.asked, []);
});

test("anything that is not exactly true refuses", async (t) => {
  for (const answer of [1, "true", {}, undefined, Object(true), [true]]) {
    const { account, store } = await startRow(t, "none");
    const { callbacks } = prompts(async () => answer);
    const ended = await outcome(t, account, store, { trustPolicy: "prompt", ...callbacks });
    assert.equal(ended.code, "handshake_failed");
    assert.equal(await store.get(account.daemonId), null);
  }
});

test("a prompt that throws or rejects refuses, with its error as cause", async (t) => {
  const thrown = new Error("the prompt broke");
  for (const answer of [
    () => {
      throw thrown;
    },
    () => Promise.reject(thrown),
  ]) {
    for (const [pin, code] of [
      ["none", "handshake_failed"],
      ["differs", "identity_key_changed"],
    ]) {
      const { account, store, other } = await startRow(t, pin);
      const ended = await outcome(t, account, store, { trustPolicy: "prompt", ...prompts(answer).callbacks });
      assert.deepEqual(ended, { state: "closed", code, cause: thrown });
      assert.deepEqual(await store.get(account.daemonId), pin === "none" ? null : other);
    }
  }
});

test("prompts are called as methods of the options", async (t) => {
  const { account, store } = await startRow(t, "none");
  let seenThis;
  const options = {
    trustPolicy: "prompt",
    mine: "yes",
    onFirstConnection() {
      seenThis = this;
      return true;
    },
    onIdentityMismatch: () => false,
  };
  await outcome(t, account, store, options);
  assert.equal(seenThis.mine, "yes");
});

/** What a relay between would put into the client's session: a daemon's handshake with something wrong in it. */
async function startForger(t, forge) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  atEnd(t, () => server.close());
  await once(server, "listening");
  server.on("connection", (socket) => {
    socket.on("message", (frame) => {
      if (frame[0] !== 1) return;
      const accept = Buffer.alloc(13 + 128);
      accept[0] = 2;
      accept.writeUInt32BE(128, 1);
      frame.copy(accept, 5, 5, 13);
      forge().copy(accept, 13);
      socket.send(accept);
    });
  });
  return `ws://127.0.0.1:${server.address().port}`;
}

/** A session token as far as the client reads it. */
function sessionToken() {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const sid = Buffer.from([0, 0, 0, 0, 0, 0, 0, 7]).toString("base64url");
  return `${part({ alg: "EdDSA", typ: "sbrp-relay+jwt" })}.${part({ sid, did: "d", role: "client" })}.AAAA`;
}

function rawPublicKey(kind) {
  const { publicKey } = generateKeyPairSync(kind);
  return Buffer.from(publicKey.export({ format: "jwk" }).x, "base64url");
}

for (const [what, forge] of [
  [
    "a signature of random bytes",
    () => Buffer.concat([rawPublicKey("ed25519"), rawPublicKey("x25519"), randomBytes(64)]),
  ],
  ["an all-zero message", () => Buffer.alloc(128)],
]) {
  test(`a forged HandshakeAccept (${what}) pins nothing and prompts nobody`, async (t) => {
    const endpoint = await startForger(t, forge);
    for (const trustPolicy of ["auto", "prompt"]) {
      for (const pinned of [false, true]) {
        const store = createMemoryIdentityKeyStore();
        const pin = generateIdentityKeyPair().publicKey;
        if (pinned) await store.set("d", pin);
        const { asked, callbacks } = prompts(() => true);
        const peer = createPeer({
          endpoint,
          negotiator: relayClientNegotiator({
            daemonId: "d",
            sessionToken: sessionToken(),
            identityKeyStore: store,
            trustPolicy,
            ...callbacks,
          }),
          retryPolicy: QUICK_RETRY,
        });
        atEnd(t, () => peer.disconnect());
        await assert.rejects(peer.connect(), (error) => {
          assert.ok(error.cause instanceof SbrpError);
          assert.equal(error.cause.code, "handshake_failed");
          return true;
        });
        assert.equal(peer.state, "closed");
        assert.deepEqual(await store.get("d"), pinned ? pin : null);
        assert.deepEqual(asked, []);
      }
    }
  });
}
