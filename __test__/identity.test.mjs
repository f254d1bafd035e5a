// The daemon's identity: its forms, what is wrong with a bad one, and that it never shows.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inspect } from "node:util";
import vm from "node:vm";
import { generateIdentityKeyPair, listen } from "@sideband/cloud";
import { relayDaemonNegotiator } from "@sideband/cloud/peer/sbrp";
import { asDaemonId, computeFingerprint, generateIdentityKeyPair as sameFunction } from "@sideband/cloud/secure-relay";
import { startClient, startDaemon } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

const pair = generateIdentityKeyPair();
const { publicKey, privateKey } = pair;
const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const base64url = (bytes) => Buffer.from(bytes).toString("base64url");
const expanded = Buffer.concat([privateKey, publicKey]);

const FORMS = {
  "as made": pair,
  Buffer: { publicKey: Buffer.from(publicKey), privateKey: Buffer.from(privateKey) },
  "number arrays": { publicKey: [...publicKey], privateKey: [...privateKey] },
  "JSON of Uint8Array": JSON.parse(JSON.stringify(pair)),
  "JSON of Buffer": JSON.parse(
    JSON.stringify({ publicKey: Buffer.from(publicKey), privateKey: Buffer.from(privateKey) }),
  ),
  base64: { publicKey: base64(publicKey), privateKey: base64(privateKey) },
  base64url: { publicKey: base64url(publicKey), privateKey: base64url(privateKey) },
  mixed: { publicKey: base64(publicKey), privateKey: [...privateKey] },
  expanded: { publicKey, privateKey: expanded },
  "expanded base64": { publicKey, privateKey: base64(expanded) },
  "of another realm": vm.runInNewContext("({publicKey: Uint8Array.from(a), privateKey: Uint8Array.from(b)})", {
    a: [...publicKey],
    b: [...privateKey],
  }),
};

test("a pair is two Uint8Arrays of 32 bytes, different every time", () => {
  for (const key of [publicKey, privateKey]) {
    assert.equal(key.constructor, Uint8Array);
    assert.equal(key.length, 32);
  }
  assert.notDeepEqual(generateIdentityKeyPair().publicKey, publicKey);
  assert.equal(sameFunction, generateIdentityKeyPair);
});

test("every form of an identity gives the same daemon", async (t) => {
  const account = await relay.addDaemon();
  for (const [name, identityKeyPair] of Object.entries(FORMS)) {
    const { server } = await startDaemon(t, relay, { account, identityKeyPair });
    const pins = [];
    const peer = startClient(t, relay, account, {
      identityKeyStore: { get: () => null, set: (_id, pin) => void pins.push(pin), delete() {} },
    });
    await peer.whenReady();
    assert.deepEqual(pins, [publicKey], name);
    await peer.disconnect();
    await server.close();
    assert.doesNotThrow(() => relayDaemonNegotiator({ daemonId: "d", identityKeyPair }), name);
  }
});

test("an identity is copied: changing it later changes nothing", async (t) => {
  const identityKeyPair = { publicKey: Uint8Array.from(publicKey), privateKey: Uint8Array.from(privateKey) };
  const account = await relay.addDaemon();
  const starting = startDaemon(t, relay, { account, identityKeyPair });
  identityKeyPair.privateKey.fill(0);
  identityKeyPair.publicKey.fill(0);
  await starting;
  const pins = [];
  const identityKeyStore = { get: () => null, set: (_id, pin) => void pins.push(pin), delete() {} };
  await startClient(t, relay, account, { identityKeyStore }).whenReady();
  assert.deepEqual(pins, [publicKey]);
});

const other = generateIdentityKeyPair();
const wrongTail = Buffer.concat([privateKey, other.publicKey]);
for (const [what, identityKeyPair, field] of [
  ["nothing", undefined, "identityKeyPair"],
  ["null", null, "identityKeyPair"],
  ["a string", base64(privateKey), "identityKeyPair"],
  ["no public key", { privateKey }, "identityKeyPair.publicKey"],
  ["no private key", { publicKey }, "identityKeyPair.privateKey"],
  ["a short private key", { publicKey, privateKey: privateKey.slice(1) }, "identityKeyPair.privateKey"],
  ["a long public key", { publicKey: expanded, privateKey }, "identityKeyPair.publicKey"],
  ["an empty private key", { publicKey, privateKey: [] }, "identityKeyPair.privateKey"],
  ["numbers that are no bytes", { publicKey, privateKey: [...privateKey.slice(1), 256] }, "identityKeyPair.privateKey"],
  ["a string that is no base64", { publicKey, privateKey: `${base64(privateKey)}!` }, "identityKeyPair.privateKey"],
  ["an object that is no array", { publicKey, privateKey: { a: 1 } }, "identityKeyPair.privateKey"],
  ["an empty object", { publicKey, privateKey: {} }, "identityKeyPair.privateKey"],
  ["the public key of another", { publicKey: other.publicKey, privateKey }, "identityKeyPair.publicKey"],
  ["an expanded key of another", { publicKey, privateKey: wrongTail }, "identityKeyPair.privateKey"],
]) {
  test(`an identity with ${what} is a TypeError that names ${field} and shows no key`, async () => {
    const check = (error) => {
      assert.equal(error.name, "TypeError");
      assert.ok(error.message.includes(field), error.message);
      const shown = `${error.stack}${inspect(error)}`;
      for (const secret of [
        base64(privateKey),
        base64url(privateKey),
        [...privateKey].join(","),
        Buffer.from(privateKey).toString("hex"),
      ]) {
        assert.ok(!shown.includes(secret));
      }
      return true;
    };
    await assert.rejects(listen({ apiKey: "k", identityKeyPair, onConnection() {} }), check);
    assert.throws(() => relayDaemonNegotiator({ daemonId: "d", identityKeyPair }), check);
  });
}

test("a private key does not show when its pair is printed, also as a part of something", () => {
  for (const value of [pair, { ...pair }, [pair], { identity: { keys: pair } }]) {
    const shown = inspect(value, { depth: 9, maxArrayLength: null, breakLength: Infinity });
    assert.ok(!shown.includes([...privateKey].join(", ")));
    assert.match(shown, /\[private key\]/);
  }
  assert.deepEqual(Object.keys(pair), ["publicKey", "privateKey"]);
  assert.deepEqual(Uint8Array.from(privateKey), privateKey);
});

test("a negotiator shows nothing of what is in it", () => {
  const negotiator = relayDaemonNegotiator({ daemonId: "d", identityKeyPair: pair, presenceToken: "secret-token" });
  const shown = inspect(negotiator, { showHidden: true, depth: 9 }) + JSON.stringify(negotiator);
  assert.equal(shown, "RelayDaemonNegotiator {}{}");
});

test("fingerprints are SHA256: and upper-case pairs", () => {
  assert.equal(
    computeFingerprint(new Uint8Array(32)),
    "SHA256:66:68:7A:AD:F8:62:BD:77:6C:8F:C1:8B:8E:9F:8E:20:08:97:14:85:6E:E2:33:B3:90:2A:59:1D:0D:5F:29:25",
  );
  for (const bad of [new Uint8Array(31), "x", undefined]) assert.throws(() => computeFingerprint(bad), TypeError);
});

test("a daemon id is a non-empty string", () => {
  assert.equal(asDaemonId("my-daemon"), "my-daemon");
  for (const bad of ["", undefined, 7]) assert.throws(() => asDaemonId(bad), TypeError);
});
