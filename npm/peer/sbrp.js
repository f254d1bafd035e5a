"use strict";
// `@sideband/peer/sbrp` is `@sideband/cloud/peer/sbrp` under its original name.

module.exports = require("@sideband/cloud/peer/sbrp");
