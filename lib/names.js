"use strict";
// Event names and patterns; the rules are Rust's, the same that the wire is held to.

const { native } = require("./native.js");
const { PeerError, PeerErrorCode } = require("./errors.js");

/** Whether `name` may be emitted. */
function isValidEventName(name) {
  return typeof name === "string" && native().isValidEventName(name);
}

/** Throws `invalid_pattern` for what is not a pattern. */
function validatePattern(pattern) {
  if (typeof pattern !== "string") throw new TypeError("pattern must be a string");
  if (native().isValidPattern(pattern)) return;
  const hint = pattern.includes("**") ? '; use ">" for several segments' : "";
  const shown = JSON.stringify(pattern.slice(0, 256));
  throw new PeerError(PeerErrorCode.InvalidPattern, `not a valid event pattern: ${shown}${hint}`);
}

/** Whether the event `name` matches `pattern`. */
function matchPattern(pattern, name) {
  return typeof pattern === "string" && typeof name === "string" && native().matchPattern(pattern, name);
}

module.exports = { isValidEventName, validatePattern, matchPattern };
