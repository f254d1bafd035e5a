"use strict";
// `@sideband/secure-relay` is `@sideband/cloud/secure-relay` under its original name.

module.exports = require("@sideband/cloud/secure-relay");
