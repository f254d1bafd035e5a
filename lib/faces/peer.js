"use strict";
// `@sideband/cloud/peer`

const { PeerError, PeerErrorCode, RpcPeerError } = require("../errors.js");
const { isValidEventName, matchPattern, validatePattern } = require("../names.js");
const { sbpNegotiator } = require("../negotiators.js");
const { createPeer } = require("../peer.js");

module.exports = {
  createPeer,
  sbpNegotiator,
  PeerError,
  RpcPeerError,
  PeerErrorCode,
  isValidEventName,
  validatePattern,
  matchPattern,
};
