"use strict";
// Which relay errors are worth another attempt.

const { SbrpError, SbrpErrorCode } = require("./errors.js");

const RETRYABLE = new Set([
  SbrpErrorCode.DaemonOffline,
  SbrpErrorCode.RateLimited,
  SbrpErrorCode.Backpressure,
  SbrpErrorCode.InternalError,
  SbrpErrorCode.SessionExpired,
  SbrpErrorCode.SessionPaused,
  SbrpErrorCode.SessionResumed,
  SbrpErrorCode.SessionEnded,
  SbrpErrorCode.SessionPending,
  SbrpErrorCode.HandshakeTimeout,
]);

/** `"fatal"` or `"retryable"`; what is no relay error is the environment's, and may pass. */
function classifySbrpError(error) {
  if (!(error instanceof SbrpError)) return "retryable";
  return RETRYABLE.has(error.code) ? "retryable" : "fatal";
}

module.exports = { classifySbrpError };
