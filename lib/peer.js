"use strict";
// `@sideband/cloud/peer`: peers for a relay of one's own, or for plain WebSockets.

const { captureCallSite } = require("./callsite.js");
const { ClientCore, Peer } = require("./client.js");
const { negotiation } = require("./negotiators.js");
const {
  dialling,
  optionsObject,
  optionalCallback,
  optionalSignal,
  optionalString,
  requiredCallback,
  url,
  without,
} = require("./options.js");
const { policy } = require("./policies.js");
const { PeerServer, ServerCore } = require("./server.js");
const { toConsole } = require("./report.js");

const OWN_SOCKETS = "the sockets are the addon's own";

/** A client's peer; `connect()` starts it. */
function createPeer(options) {
  optionsObject(options, "createPeer");
  without(options, OWN_SOCKETS, "transport");
  const endpoint = url(options.endpoint, "endpoint", "ws:", "wss:");
  const description = negotiation(options, ["sbp", "relayClient"]);
  const { daemonId, trust, token, peerId, capabilities, handshakeTimeoutMs } = description;
  if (trust === undefined) without(options, "plain SBP has no token", "tokenInHeader");
  const { onDisconnect } = policy(options, "connectionPolicy");
  const { defaultTimeoutMs, ...rpc } = policy(options, "rpcPolicy");
  const onUnhandledError = optionalCallback(options, "onUnhandledError");
  const plan = {
    mode: trust === undefined ? "direct" : "relay",
    endpoint,
    daemonId,
    sessionToken: token === undefined ? undefined : true,
    trustPolicy: trust?.trustPolicy ?? "auto",
    onDisconnect,
    rpc,
    event: policy(options, "eventPolicy"),
    retry: policy(options, "retryPolicy"),
    handshakeTimeoutMs,
    peerId: optionalString(options.peerId, "peerId") ?? peerId,
    capabilities,
    ...dialling(options),
  };
  return new Peer(
    new ClientCore({
      plan,
      callbacks: { token, tokenField: "sessionToken", store: trust?.store, prompts: trust?.prompts },
      alwaysReports: false,
      onUnhandledError: onUnhandledError ?? toConsole,
      defaultTimeoutMs,
    }),
  );
}

/** A daemon: on a port of its own, or dialling out to a relay. */
async function listen(options) {
  optionsObject(options, "listen");
  without(options, OWN_SOCKETS, "transport");
  const description = negotiation(options, ["sbp", "relayDaemon"]);
  const { seed, daemonId, token, peerId, capabilities, handshakeTimeoutMs } = description;
  if (seed === undefined) without(options, "a server of its own connects to nobody", "ca", "tokenInHeader");
  // A server of its own has no certificate: TLS is for a proxy in front of it.
  const endpoint = url(options.endpoint, "endpoint", ...(seed === undefined ? ["ws:"] : ["ws:", "wss:"]));
  const { defaultTimeoutMs, ...rpc } = policy(options, "rpcPolicy");
  const plan = {
    mode: seed === undefined ? "direct" : "relay",
    endpoint,
    daemonId,
    presenceToken: token === undefined ? undefined : true,
    rpc,
    event: policy(options, "eventPolicy"),
    handshakeTimeoutMs,
    peerId: optionalString(options.peerId, "peerId") ?? peerId,
    capabilities,
    ...dialling(options),
  };
  const core = new ServerCore({
    plan,
    seed: seed ?? new Uint8Array(0),
    callbacks: { token, tokenField: "presenceToken" },
    onConnection: requiredCallback(options, "onConnection"),
    onUnhandledError: optionalCallback(options, "onUnhandledError") ?? toConsole,
    defaultTimeoutMs,
  });
  const signal = optionalSignal(options.signal, "signal");
  if (signal?.aborted) throw signal.reason;
  await core.start(signal, captureCallSite(listen, 0));
  return new PeerServer(core);
}

module.exports = { createPeer, listen };
