"use strict";
// The error classes of the API and how an error that Rust describes becomes one of them.

/** The codes of `PeerError`. */
const PeerErrorCode = Object.freeze({
  PeerClosed: "peer_closed",
  RpcMethodAlreadyRegistered: "rpc_method_already_registered",
  RpcCancelled: "rpc_cancelled",
  RpcTimeout: "rpc_timeout",
  RpcError: "rpc_error",
  InvalidPattern: "invalid_pattern",
  BufferOverflow: "buffer_overflow",
  NotConnected: "not_connected",
  SessionPaused: "session_paused",
  InvalidState: "invalid_state",
  Cancelled: "cancelled",
  MessageTooLarge: "message_too_large",
});

/** The codes of `SbrpError`: the control codes of the wire, then those that never travel. */
const SbrpErrorCode = Object.freeze({
  Unauthorized: "unauthorized",
  Forbidden: "forbidden",
  DaemonNotFound: "daemon_not_found",
  DaemonOffline: "daemon_offline",
  SessionNotFound: "session_not_found",
  SessionExpired: "session_expired",
  MalformedFrame: "malformed_frame",
  PayloadTooLarge: "payload_too_large",
  InvalidFrameType: "invalid_frame_type",
  InvalidSessionId: "invalid_session_id",
  DisallowedSender: "disallowed_sender",
  InternalError: "internal_error",
  RateLimited: "rate_limited",
  Backpressure: "backpressure",
  SessionPaused: "session_paused",
  SessionResumed: "session_resumed",
  SessionEnded: "session_ended",
  SessionPending: "session_pending",
  IdentityKeyChanged: "identity_key_changed",
  HandshakeFailed: "handshake_failed",
  HandshakeTimeout: "handshake_timeout",
  DecryptFailed: "decrypt_failed",
  SequenceError: "sequence_error",
});

/** Gives a class its `name` the way the built-in errors have theirs: on the prototype, not enumerable. */
function nameClass(constructor, name) {
  Object.defineProperty(constructor.prototype, "name", { value: name, configurable: true, writable: true });
}

/** Only `cause`, and only where there is one: an own `cause: undefined` would show in every printed error. */
function causeOf(options) {
  return options !== undefined && options !== null && options.cause !== undefined
    ? { cause: options.cause }
    : undefined;
}

class PeerError extends Error {
  constructor(code, message, options) {
    super(message, causeOf(options));
    this.code = code;
    if (options?.details !== undefined) this.details = options.details;
  }
}
nameClass(PeerError, "PeerError");

class RpcPeerError extends PeerError {}
nameClass(RpcPeerError, "RpcPeerError");

class SbrpError extends Error {
  constructor(code, message, options) {
    super(message, causeOf(options));
    this.code = code;
  }
}
nameClass(SbrpError, "SbrpError");

class CloudApiError extends Error {
  constructor(status, message, options) {
    super(message, causeOf(options));
    this.status = status;
  }
}
nameClass(CloudApiError, "CloudApiError");

/**
 * Makes the error that a description from Rust stands for.
 * @param record the parsed error JSON of the boundary
 * @param thrown what the program's own callbacks threw, by ask id: such an error is handed back as it was
 */
function errorFrom(record, thrown) {
  if (record.ask !== undefined && thrown !== undefined && thrown.has(record.ask)) return thrown.get(record.ask);
  const options = {};
  if (record.cause !== undefined && record.cause !== null) options.cause = errorFrom(record.cause, thrown);
  if (record.details !== undefined) options.details = record.details;
  switch (record.class) {
    case "PeerError":
      return new PeerError(record.code, record.message, options);
    case "RpcPeerError":
      // An error without data has the member too, as `undefined`: JSON has no way to say that.
      if (options.details !== undefined) options.details = { wireCode: options.details.wireCode, data: options.details.data };
      return new RpcPeerError(record.code, record.message, options);
    case "SbrpError":
      return new SbrpError(record.code, record.message, options);
    case "CloudApiError":
      return new CloudApiError(record.status, record.message, options);
    case "TypeError":
      return new TypeError(record.message, causeOf(options));
    default: {
      const error = new Error(record.message, causeOf(options));
      if (record.code !== undefined) error.code = record.code;
      return error;
    }
  }
}

/**
 * The error that ends a peer, as the program sees it: fatal API errors bare, everything else as a `PeerError`.
 */
function terminalError(error) {
  if (error instanceof PeerError || error instanceof CloudApiError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new PeerError(PeerErrorCode.PeerClosed, `the peer closed: ${why}`, { cause: error });
}

module.exports = {
  PeerErrorCode,
  SbrpErrorCode,
  PeerError,
  RpcPeerError,
  SbrpError,
  CloudApiError,
  errorFrom,
  terminalError,
};
