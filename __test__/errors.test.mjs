// Errors: one class identity for ESM and CommonJS, stacks that contain the caller, and what printing things shows.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { inspect } from "node:util";
import * as cloud from "@sideband/cloud";
import * as peerFace from "@sideband/cloud/peer";
import * as sbrpFace from "@sideband/cloud/peer/sbrp";
import * as serverFace from "@sideband/cloud/peer/server";
import * as secureRelay from "@sideband/cloud/secure-relay";
import { atEnd } from "./support/ending.mjs";
import { startClient, startPair } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";
import { collected } from "./support/wait.mjs";

const require = createRequire(import.meta.url);
let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

test("ESM and CommonJS give the same exports of every entry point", () => {
  for (const [name, face] of [
    ["@sideband/cloud", cloud],
    ["@sideband/cloud/peer", peerFace],
    ["@sideband/cloud/peer/server", serverFace],
    ["@sideband/cloud/peer/sbrp", sbrpFace],
    ["@sideband/cloud/secure-relay", secureRelay],
  ]) {
    assert.deepEqual({ ...face }, require(name), name);
  }
  assert.equal(peerFace.PeerError, cloud.PeerError);
  assert.equal(sbrpFace.createMemoryIdentityKeyStore, cloud.createMemoryIdentityKeyStore);
});

test("the exports are those of the contract", () => {
  assert.deepEqual(Object.keys(cloud).toSorted(), [
    "CloudApiError",
    "PeerError",
    "PeerErrorCode",
    "RpcPeerError",
    "connect",
    "createFileIdentityKeyStore",
    "createMemoryIdentityKeyStore",
    "extractDaemonIdFromToken",
    "generateIdentityKeyPair",
    "listen",
    "renewPresenceToken",
  ]);
  assert.deepEqual(Object.keys(peerFace).toSorted(), [
    "PeerError",
    "PeerErrorCode",
    "RpcPeerError",
    "createPeer",
    "isValidEventName",
    "matchPattern",
    "sbpNegotiator",
    "validatePattern",
  ]);
  assert.deepEqual(Object.keys(serverFace), ["listen"]);
  assert.deepEqual(Object.keys(sbrpFace).toSorted(), [
    "asDaemonId",
    "classifySbrpError",
    "createMemoryIdentityKeyStore",
    "relayClientNegotiator",
    "relayDaemonNegotiator",
  ]);
  assert.deepEqual(Object.keys(secureRelay).toSorted(), [
    "SbrpError",
    "SbrpErrorCode",
    "asDaemonId",
    "computeFingerprint",
    "generateIdentityKeyPair",
  ]);
});

test("the codes are those of the contract", () => {
  assert.deepEqual(Object.values(cloud.PeerErrorCode).toSorted(), [
    "buffer_overflow",
    "cancelled",
    "invalid_pattern",
    "invalid_state",
    "message_too_large",
    "not_connected",
    "peer_closed",
    "rpc_cancelled",
    "rpc_error",
    "rpc_method_already_registered",
    "rpc_timeout",
    "session_paused",
  ]);
  assert.equal(Object.values(secureRelay.SbrpErrorCode).length, 23);
});

test("errors behave as errors thrown in JavaScript do", () => {
  const cause = new Error("why");
  for (const [error, name, own] of [
    [new cloud.PeerError("peer_closed", "m", { cause }), "PeerError", { code: "peer_closed" }],
    [
      new cloud.RpcPeerError("rpc_error", "m", { cause, details: { wireCode: 2000 } }),
      "RpcPeerError",
      { code: "rpc_error", details: { wireCode: 2000 } },
    ],
    [new cloud.CloudApiError(404, "m", { cause }), "CloudApiError", { status: 404 }],
    [new secureRelay.SbrpError("daemon_offline", "m", { cause }), "SbrpError", { code: "daemon_offline" }],
  ]) {
    assert.ok(error instanceof Error);
    assert.equal(error.name, name);
    assert.equal(error.message, "m");
    assert.equal(error.cause, cause);
    assert.deepEqual({ ...error }, own);
    assert.equal(String(error), `${name}: m`);
    assert.ok(error.stack.startsWith(`${name}: m\n    at `));
    assert.match(error.stack, /errors\.test\.mjs/);
    assert.ok(!("cause" in new error.constructor("x", "m")));
  }
  assert.ok(new cloud.RpcPeerError("rpc_error", "m") instanceof cloud.PeerError);
});

test("a rejected call's stack contains its caller, awaited or not, one in flight or many", async (t) => {
  const { peer } = await startPair(t, relay);
  async function awaitingCaller() {
    await null;
    return await peer.rpc.call("missing");
  }
  function plainCaller() {
    const call = peer.rpc.call("missing");
    // A call in the last place would be no frame on Bun, which has tail calls.
    call.catch(() => {});
    return call;
  }
  async function manyInFlight() {
    return await Promise.all(Array.from({ length: 64 }, () => awaitingCaller().catch((error) => error)));
  }
  await assert.rejects(awaitingCaller(), ({ stack }) => /awaitingCaller/.test(stack));
  await assert.rejects(plainCaller(), ({ stack }) => /plainCaller/.test(stack));
  for (const error of await manyInFlight()) {
    assert.ok(error.stack.startsWith("RpcPeerError: no such method"));
    assert.match(error.stack, /awaitingCaller/);
  }
  async function timingOut() {
    return await peer.rpc.call("missing", undefined, { timeoutMs: 0 });
  }
  await assert.rejects(timingOut(), ({ stack }) => /timingOut/.test(stack));
  async function wrong() {
    return await peer.rpc.call("missing", 1n);
  }
  await assert.rejects(wrong(), ({ stack }) => /wrong/.test(stack));
});

/** How 64 calls at once fail: the options of each, and what is done after they began. */
const failures = {
  rpc_error: { method: "missing" },
  rpc_timeout: { options: () => ({ timeoutMs: 1 }) },
  rpc_cancelled: {
    options: ({ signal }) => ({ signal }),
    then: (_pair, controller) => controller.abort(),
  },
  not_connected: { then: ({ server }) => server.close() },
  peer_closed: { then: ({ peer }) => peer.disconnect() },
};

for (const [code, { method = "hang", options = () => undefined, then = () => {} }] of Object.entries(failures)) {
  test(`64 calls that nobody awaits show their caller when they fail with ${code}`, async (t) => {
    const pair = await startPair(t, relay, {
      onConnection: (remote) => remote.rpc.handle("hang", () => new Promise(() => {})),
    });
    const controller = new AbortController();
    const failed = [];
    function theCaller() {
      const call = pair.peer.rpc.call(method, undefined, options(controller));
      call.catch((error) => failed.push(error));
    }
    for (let number = 0; number < 64; number++) theCaller();
    await then(pair, controller);
    await collected(failed, 64);
    for (const error of failed) {
      assert.equal(error.code, code);
      assert.ok(error.stack.startsWith(`${error.name}: ${error.message}\n    at `));
      assert.match(error.stack, /theCaller.*errors\.test\.mjs/);
    }
  });
}

test("a closed peer's rejections contain their callers too", async (t) => {
  const { account, peer } = await startPair(t, relay);
  const other = startClient(t, relay, account);
  async function waitingCaller() {
    await other.whenReady();
  }
  const waiting = assert.rejects(waitingCaller(), ({ stack }) => /waitingCaller/.test(stack));
  await other.disconnect();
  await waiting;
  await peer.disconnect();
  async function lateCaller() {
    await peer.rpc.call("any");
  }
  await assert.rejects(lateCaller(), ({ stack }) => /lateCaller/.test(stack));
  function misuse() {
    peer.connect();
  }
  assert.throws(misuse, ({ stack }) => /misuse/.test(stack));
});

test("a program's own Error.prepareStackTrace does no harm", async (t) => {
  const { peer } = await startPair(t, relay);
  const original = Error.prepareStackTrace;
  atEnd(t, () => (Error.prepareStackTrace = original));
  Error.prepareStackTrace = (_error, sites) => sites;
  await assert.rejects(peer.rpc.call("missing"), { code: "rpc_error" });
});

test("printing peers, servers and what is on them is short and shows no secret", async (t) => {
  const { server, account, peer, remote } = await startPair(t, relay);
  peer.rpc.handle("secret-method", () => {});
  for (const value of [peer, remote, server, peer.rpc, peer.events, server.connections, { peer }]) {
    const shown = inspect(value, { showHidden: true, depth: 9 });
    assert.ok(shown.length < 400, shown);
    for (const secret of [account.apiKey, account.accessToken, "sbnd_"]) assert.ok(!shown.includes(secret));
  }
  assert.match(inspect(peer), /^Peer \{ state: 'active', peerId: '[^']+' \}$/);
  assert.match(inspect(remote), /^ConnectedPeer \{ state: 'active', peerId: '[^']+' \}$/);
  assert.match(inspect(server), /^CloudServer \{ address: .*connections: 1, closed: false \}$/s);
  assert.equal(inspect([peer], { depth: 0 }), "[ [Peer] ]");
  assert.equal(JSON.stringify(peer), "{}");
});

test("classifySbrpError says what is worth another attempt", () => {
  const { classifySbrpError } = sbrpFace;
  const { SbrpError, SbrpErrorCode } = secureRelay;
  const retryable = Object.values(SbrpErrorCode).filter(
    (code) => classifySbrpError(new SbrpError(code, "m")) === "retryable",
  );
  assert.deepEqual(retryable.toSorted(), [
    "backpressure",
    "daemon_offline",
    "handshake_timeout",
    "internal_error",
    "rate_limited",
    "session_ended",
    "session_expired",
    "session_paused",
    "session_pending",
    "session_resumed",
  ]);
  assert.equal(classifySbrpError(new Error("network")), "retryable");
});
