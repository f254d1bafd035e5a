"use strict";
// `@sideband/peer/server` is `@sideband/cloud/peer/server` under its original name.

module.exports = require("@sideband/cloud/peer/server");
