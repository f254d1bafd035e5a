"use strict";
// `@sideband/peer` is `@sideband/cloud/peer` under its original name.

module.exports = require("@sideband/cloud/peer");
