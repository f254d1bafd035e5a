"use strict";
// `@sideband/cloud/peer/server`

const { listen } = require("../peer.js");

module.exports = { listen };
