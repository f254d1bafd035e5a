"use strict";
// `@sideband/cloud`: daemons and clients that meet through the cloud's relay.

const { captureCallSite } = require("./callsite.js");
const { ClientCore, Peer } = require("./client.js");
const { identitySeed } = require("./identity.js");
const {
  dialling,
  optionsObject,
  optionalCallback,
  optionalSignal,
  optionalString,
  optionalUrl,
  requiredCallback,
  requiredKey,
  requiredString,
} = require("./options.js");
const { policy } = require("./policies.js");
const { CloudServer, ServerCore } = require("./server.js");
const { toConsole } = require("./report.js");
const { trustOptions } = require("./trust.js");

const API_URL = "https://api.sideband.cloud";
const RELAY_URL = "wss://relay.sideband.cloud";

/** A daemon behind the cloud's relay. Resolves at the first connection to the relay. */
async function listen(options) {
  optionsObject(options, "listen");
  const { defaultTimeoutMs, ...rpc } = policy(options, "rpcPolicy");
  const plan = {
    mode: "cloud",
    apiKey: requiredKey(options.apiKey, "apiKey"),
    daemonId: optionalString(options.daemonId, "daemonId"),
    apiUrl: optionalUrl(options.apiUrl, "apiUrl", "https:", "http:") ?? API_URL,
    relayUrl: optionalUrl(options.relayUrl, "relayUrl", "wss:", "ws:") ?? RELAY_URL,
    rpc,
    event: policy(options, "eventPolicy"),
    ...dialling(options),
  };
  const core = new ServerCore({
    plan,
    seed: identitySeed(options.identityKeyPair, "identityKeyPair"),
    callbacks: {},
    onConnection: requiredCallback(options, "onConnection"),
    onUnhandledError: optionalCallback(options, "onUnhandledError") ?? toConsole,
    defaultTimeoutMs,
  });
  const signal = optionalSignal(options.signal, "signal");
  if (signal?.aborted) throw signal.reason;
  await core.start(signal, captureCallSite(listen, 0));
  return new CloudServer(core);
}

/** A client of a daemon behind the cloud's relay. Starts at once. */
function connect(options) {
  optionsObject(options, "connect");
  const trust = trustOptions(options, "auto");
  const { defaultTimeoutMs, ...rpc } = policy(options, "rpcPolicy");
  const { token, ...credentials } = options.quickConnectCode === undefined ? account(options) : quickConnect(options);
  const plan = {
    ...credentials,
    apiUrl: optionalUrl(options.apiUrl, "apiUrl", "https:", "http:") ?? API_URL,
    trustPolicy: trust.trustPolicy,
    onDisconnect: policy(options, "connectionPolicy", { onDisconnect: "pause" }).onDisconnect,
    rpc,
    event: policy(options, "eventPolicy"),
    retry: policy(options, "retryPolicy", { mode: "on-error" }),
    ...dialling(options),
  };
  const core = new ClientCore({
    plan,
    callbacks: { token, tokenField: "getAccessToken", store: trust.store, prompts: trust.prompts },
    alwaysReports: true,
    onUnhandledError: optionalCallback(options, "onUnhandledError") ?? toConsole,
    defaultTimeoutMs,
  });
  core.start();
  return new Peer(core);
}

function account(options) {
  const daemonId = requiredString(options.daemonId, "daemonId");
  return { mode: "account", daemonId, token: requiredCallback(options, "getAccessToken") };
}

function quickConnect(options) {
  for (const field of ["daemonId", "getAccessToken"]) {
    if (options[field] !== undefined) throw new TypeError(`${field} must not be given together with quickConnectCode`);
  }
  const quickConnectCode = requiredString(options.quickConnectCode, "quickConnectCode");
  return { mode: "quickConnect", quickConnectCode };
}

module.exports = { API_URL, listen, connect };
