"use strict";
// The policies' defaults and checks. What is wrong is a TypeError that names the field.

const POLICIES = {
  rpcPolicy: { defaultTimeoutMs: 10_000, disconnectBufferLimitBytes: 65_536 },
  eventPolicy: { maxBufferedEvents: 128 },
  retryPolicy: { mode: "never", initialDelayMs: 1_000, maxDelayMs: 30_000, maxAttempts: 5, jitter: 0.2 },
  connectionPolicy: { onDisconnect: "fail" },
};

/** What the boundary's 32 bits hold; a longer time-out is no time-out. */
const LONGEST_MS = 0xffffffff;

const CHECKS = {
  onDisconnect: oneOf("fail", "pause"),
  mode: oneOf("never", "on-error"),
  defaultTimeoutMs: milliseconds,
  initialDelayMs: milliseconds,
  maxDelayMs: milliseconds,
  disconnectBufferLimitBytes: count,
  maxBufferedEvents: count,
  // Without end is 0 here; Infinity says the same.
  maxAttempts: (value, field) => (value === Infinity ? 0 : count(value, field)),
  jitter: (value, field) => {
    if (typeof value === "number" && value >= 0 && value <= 1) return value;
    throw new TypeError(`${field} must be a number from 0 to 1`);
  },
};

/**
 * The policy `options[name]`, complete and checked.
 * @param defaults what differs from the table above where this is called
 */
function policy(options, name, defaults) {
  const given = options[name];
  const result = { ...POLICIES[name], ...defaults };
  if (given === undefined) return result;
  if (given === null || typeof given !== "object") throw new TypeError(`${name} must be an object`);
  for (const field of Object.keys(POLICIES[name])) {
    const value = given[field];
    if (value !== undefined) result[field] = CHECKS[field](value, `${name}.${field}`);
  }
  return result;
}

/** The time-out of one call, as the boundary takes it. */
function callTimeout(options, defaultTimeoutMs) {
  if (options === null || typeof options !== "object") throw new TypeError("options must be an object");
  const { timeoutMs } = options;
  return timeoutMs === undefined ? defaultTimeoutMs : milliseconds(timeoutMs, "timeoutMs");
}

/** A time in whole milliseconds, at least one. */
function milliseconds(value, field) {
  if (typeof value !== "number" || !(value >= 0)) throw new TypeError(`${field} must be a number of milliseconds`);
  return Math.min(Math.max(Math.ceil(value), 1), LONGEST_MS);
}

function count(value, field) {
  if (!Number.isSafeInteger(value) || value < 0) throw new TypeError(`${field} must be an integer of at least 0`);
  return value;
}

function oneOf(...values) {
  return (value, field) => {
    if (values.includes(value)) return value;
    throw new TypeError(`${field} must be ${values.map((name) => `"${name}"`).join(" or ")}`);
  };
}

module.exports = { policy, callTimeout, milliseconds };
