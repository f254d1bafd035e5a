"use strict";
// The daemon's identity: its generation and every form in which it may come back from a file.

const { inspect, types } = require("node:util");
const { native } = require("./native.js");

const KEY_BYTES = 32;
/** A private key with its public key behind it, as some libraries keep it. */
const EXPANDED_BYTES = 64;

/** `{publicKey, privateKey}`; the private key is the seed. Survives JSON; does not show itself when printed. */
function generateIdentityKeyPair() {
  const privateKey = Uint8Array.from(native().generateSeed());
  const publicKey = Uint8Array.from(native().publicKeyFromSeed(privateKey));
  hideWhenPrinted(privateKey);
  return { publicKey, privateKey };
}

/** Not enumerable, so that JSON, copies and comparisons do not see it. */
function hideWhenPrinted(key) {
  Object.defineProperty(key, inspect.custom, { value: () => "[private key]" });
}

/** `SHA256:AA:BB…` of a public key. */
function computeFingerprint(publicKey) {
  return native().fingerprint(keyBytes(publicKey, "publicKey", [KEY_BYTES]));
}

/**
 * The seed of an identity in any of the accepted forms, after a check that both keys belong together.
 * @returns {Uint8Array}
 */
function identitySeed(pair, field) {
  if (pair === null || typeof pair !== "object") {
    throw new TypeError(`${field} must be an object with publicKey and privateKey`);
  }
  const publicKey = keyBytes(pair.publicKey, `${field}.publicKey`, [KEY_BYTES]);
  const privateKey = keyBytes(pair.privateKey, `${field}.privateKey`, [KEY_BYTES, EXPANDED_BYTES]);
  const seed = privateKey.slice(0, KEY_BYTES);
  const derived = native().publicKeyFromSeed(seed);
  if (!sameBytes(derived, publicKey)) {
    throw new TypeError(`${field}.publicKey does not belong to ${field}.privateKey`);
  }
  if (privateKey.length === EXPANDED_BYTES && !sameBytes(derived, privateKey.subarray(KEY_BYTES))) {
    throw new TypeError(`${field}.privateKey: the public key at its end does not belong to its seed`);
  }
  return seed;
}

/** A copy of the bytes of a key in any of the accepted forms. */
function keyBytes(value, field, lengths) {
  const bytes = bytesOf(value);
  if (bytes === undefined) {
    throw new TypeError(`${field} must be a Uint8Array, a number array, a JSON form of one, or a base64 string`);
  }
  if (!lengths.includes(bytes.length)) {
    throw new TypeError(`${field} must have ${lengths.join(" or ")} bytes, it has ${bytes.length}`);
  }
  return bytes;
}

function bytesOf(value) {
  if (types.isUint8Array(value)) return Uint8Array.from(value);
  if (typeof value === "string") return fromBase64(value);
  if (Array.isArray(value)) return fromNumbers(value);
  if (value === null || typeof value !== "object") return undefined;
  if (value.type === "Buffer" && Array.isArray(value.data)) return fromNumbers(value.data);
  return fromIndexes(value);
}

/** Base64 or base64url, padded or not. */
function fromBase64(text) {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return undefined;
  return Uint8Array.from(Buffer.from(text, "base64"));
}

function fromNumbers(numbers) {
  return numbers.every(isByte) ? Uint8Array.from(numbers) : undefined;
}

/** `{"0": n, …}`, which is what JSON makes of a Uint8Array. */
function fromIndexes(object) {
  const { length } = Object.keys(object);
  const numbers = Array.from({ length }, (_, index) => object[index]);
  return length > 0 ? fromNumbers(numbers) : undefined;
}

function isByte(number) {
  return Number.isInteger(number) && number >= 0 && number <= 255;
}

function sameBytes(one, other) {
  return Buffer.compare(one, other) === 0;
}

/** A daemon's id, as its own type where there are types. */
function asDaemonId(id) {
  if (typeof id !== "string" || id === "") throw new TypeError("daemonId must be a non-empty string");
  return id;
}

module.exports = { KEY_BYTES, generateIdentityKeyPair, computeFingerprint, identitySeed, asDaemonId };
