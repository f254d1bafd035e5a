"use strict";
// The package's face: the public exports and nothing else. What is behind them is in lib/.

const { listen, connect } = require("./lib/cloud.js");
const { CloudApiError, PeerError, PeerErrorCode, RpcPeerError } = require("./lib/errors.js");
const { generateIdentityKeyPair } = require("./lib/identity.js");
const { createFileIdentityKeyStore, createMemoryIdentityKeyStore } = require("./lib/stores.js");
const { extractDaemonIdFromToken, renewPresenceToken } = require("./lib/tokens.js");

module.exports = {
  listen,
  connect,
  generateIdentityKeyPair,
  createMemoryIdentityKeyStore,
  createFileIdentityKeyStore,
  renewPresenceToken,
  extractDaemonIdFromToken,
  CloudApiError,
  PeerError,
  RpcPeerError,
  PeerErrorCode,
};
