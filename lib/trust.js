"use strict";
// The options that say which daemon keys a client trusts.

const { optionalCallback } = require("./options.js");

const POLICIES = ["auto", "prompt", "pinned-only"];

/**
 * The trust options, checked: an unknown policy, a policy without the callbacks it needs, or something that is no
 * store is a mistake of the program.
 */
function trustOptions(options, defaultPolicy) {
  const { trustPolicy = defaultPolicy, identityKeyStore: store } = options;
  if (!POLICIES.includes(trustPolicy)) {
    throw new TypeError(`trustPolicy must be ${POLICIES.map((name) => `"${name}"`).join(", ")}`);
  }
  for (const method of ["get", "set"]) {
    if (store === null || store === undefined || typeof store[method] !== "function") {
      throw new TypeError(`identityKeyStore must be an object with get, set and delete; ${method} is missing`);
    }
  }
  const prompts = {};
  for (const name of ["onFirstConnection", "onIdentityMismatch"]) {
    prompts[name] = optionalCallback(options, name);
    if (trustPolicy === "prompt" && prompts[name] === undefined) {
      throw new TypeError(`${name} is required with trustPolicy "prompt"`);
    }
  }
  return { trustPolicy, store, prompts };
}

module.exports = { trustOptions };
