"use strict";
// `@sideband/cloud/peer/sbrp`

const { classifySbrpError } = require("../classify.js");
const { asDaemonId } = require("../identity.js");
const { relayClientNegotiator, relayDaemonNegotiator } = require("../negotiators.js");
const { createMemoryIdentityKeyStore } = require("../stores.js");

module.exports = {
  relayClientNegotiator,
  relayDaemonNegotiator,
  createMemoryIdentityKeyStore,
  asDaemonId,
  classifySbrpError,
};
