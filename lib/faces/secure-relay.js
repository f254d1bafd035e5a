"use strict";
// `@sideband/cloud/secure-relay`

const { SbrpError, SbrpErrorCode } = require("../errors.js");
const { asDaemonId, computeFingerprint, generateIdentityKeyPair } = require("../identity.js");

module.exports = { generateIdentityKeyPair, computeFingerprint, asDaemonId, SbrpError, SbrpErrorCode };
