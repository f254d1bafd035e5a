"use strict";
// Negotiators say how two peers meet: plain SBP, or end-to-end encrypted through a relay. Each is a description only; what
// is in it (tokens, keys) is kept where printing the object does not show it.

const { identitySeed, asDaemonId } = require("./identity.js");
const { optionalString, optionalTexts, optionsObject, requiredString } = require("./options.js");
const { milliseconds } = require("./policies.js");
const { trustOptions } = require("./trust.js");

class Negotiator {
  /** What each negotiator describes, for `negotiation()` alone. */
  static #descriptions = new WeakMap();

  constructor(description) {
    Negotiator.#descriptions.set(this, description);
    Object.freeze(this);
  }

  static describe(value) {
    return value !== null && typeof value === "object" ? Negotiator.#descriptions.get(value) : undefined;
  }
}

class SbpNegotiator extends Negotiator {}
class RelayClientNegotiator extends Negotiator {}
class RelayDaemonNegotiator extends Negotiator {}

/** Plain SBP over a WebSocket: what `createPeer` and `listen` use when nothing else is said. */
function sbpNegotiator(options = {}) {
  optionsObject(options, "sbpNegotiator");
  return new SbpNegotiator({ kind: "sbp", ...common(options) });
}

/** End-to-end encryption through a relay, as a client. */
function relayClientNegotiator(options) {
  optionsObject(options, "relayClientNegotiator");
  const { sessionToken } = options;
  const description = {
    kind: "relayClient",
    daemonId: asDaemonId(options.daemonId),
    trust: trustOptions(options, "prompt"),
    token: tokenSource(options, sessionToken, "sessionToken"),
    ...common(options),
  };
  return new RelayClientNegotiator(description);
}

/** End-to-end encryption through a relay, as a daemon: `listen` dials out to the relay. */
function relayDaemonNegotiator(options) {
  optionsObject(options, "relayDaemonNegotiator");
  const description = {
    kind: "relayDaemon",
    daemonId: asDaemonId(options.daemonId),
    seed: identitySeed(options.identityKeyPair, "identityKeyPair"),
    token: tokenSource(options, options.presenceToken, "presenceToken"),
    ...common(options),
  };
  return new RelayDaemonNegotiator(description);
}

/** A token may be a string, a function called before every attempt, or in the endpoint's query. */
function tokenSource(options, token, field) {
  if (token === undefined) return undefined;
  if (typeof token === "function") return () => token.call(options);
  requiredString(token, field);
  return () => token;
}

/** What every negotiator may say. */
function common({ peerId, capabilities, handshakeTimeoutMs }) {
  return {
    peerId: optionalString(peerId, "peerId"),
    capabilities: optionalTexts(capabilities, "capabilities"),
    handshakeTimeoutMs:
      handshakeTimeoutMs === undefined ? undefined : milliseconds(handshakeTimeoutMs, "handshakeTimeoutMs"),
  };
}

/**
 * What `options.negotiator` describes; plain SBP where there is none.
 * @param {string[]} kinds those that fit here
 */
function negotiation(options, kinds) {
  if (options.negotiator === undefined) return { kind: "sbp" };
  const description = Negotiator.describe(options.negotiator);
  if (description === undefined || !kinds.includes(description.kind)) {
    const names = kinds.map((kind) => `${kind}Negotiator()`).join(" or ");
    throw new TypeError(`negotiator must be made by ${names}`);
  }
  return description;
}

module.exports = { sbpNegotiator, relayClientNegotiator, relayDaemonNegotiator, negotiation };
