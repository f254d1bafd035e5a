"use strict";
// The calls that wait for an answer and the handlers that give answers.

const { boundary } = require("./dispatch.js");
const { captureCallSite } = require("./callsite.js");
const { errorFrom, PeerErrorCode, RpcPeerError } = require("./errors.js");
const { toJson, fromJson } = require("./json.js");
const { callTimeout } = require("./policies.js");
const { isThenable } = require("./report.js");
const { Status, statusError } = require("./status.js");

/** No handler for the method. */
const NO_SUCH_METHOD = 1101;
/** What a handler's failure is answered with; applications use it and the codes above it. */
const APPLICATION_ERROR = 2000;
/** An error message that does not fit into a frame is cut to this many characters. */
const LONGEST_MESSAGE = 1024;

/** What a call's promise gives when the call failed; the error is made where the caller's stack can be seen. */
const FAILED = Symbol("failed");

/** One call in flight. */
class PendingCall {
  resolve;
  failure;
  onSettled;

  constructor(site) {
    this.site = site;
    this.promise = new Promise((resolve) => {
      this.resolve = resolve;
    });
  }

  succeed(value) {
    this.onSettled?.();
    this.resolve(value);
  }

  /** @param makeError called later, in the caller's own async context */
  fail(makeError) {
    this.onSettled?.();
    this.failure = makeError;
    this.resolve(FAILED);
  }

  /** The error, with a stack that contains the caller. */
  error() {
    const error = this.failure();
    return this.site === undefined ? error : this.site.applyTo(error);
  }
}

class RpcTable {
  #core;
  #defaultTimeoutMs;
  #pending = new Map();
  #handlers = new Map();
  #lastId = 0;

  constructor(core, defaultTimeoutMs) {
    this.#core = core;
    this.#defaultTimeoutMs = defaultTimeoutMs;
  }

  /**
   * Starts a call. Throws what is wrong with it at once.
   * @param above the public function that was called, for the stack
   */
  begin(method, params, options, above) {
    const core = this.#core;
    if (typeof method !== "string") throw new TypeError("method must be a string");
    const text = toJson(params, "params");
    let timeoutMs = this.#defaultTimeoutMs;
    let signal;
    if (options !== undefined) {
      timeoutMs = callTimeout(options, timeoutMs);
      signal = callSignal(options);
    }
    if (core.state === "closed") throw core.closedError();
    if (signal !== undefined && signal.aborted) throw cancelledError(signal);
    const id = this.#nextId();
    if (core.outbox !== null) core.outbox.addCall(id, method, text, timeoutMs);
    else throwUnlessOk(boundary().call(core.handle, id, method, text, timeoutMs), core);
    const call = new PendingCall(captureCallSite(above, this.#pending.size));
    this.#pending.set(id, call);
    if (signal !== undefined) this.#watch(signal, id, call);
    return call;
  }

  #nextId() {
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#pending.has(this.#lastId));
    return this.#lastId;
  }

  #watch(signal, id, call) {
    const onAbort = () => {
      const core = this.#core;
      if (core.outbox !== null) core.outbox.removeCall(id);
      else boundary().cancelCall(core.handle, id);
      this.failWith(id, () => cancelledError(signal));
    };
    call.onSettled = () => signal.removeEventListener("abort", onAbort);
    signal.addEventListener("abort", onAbort, { once: true });
  }

  #take(id) {
    const call = this.#pending.get(id);
    if (call !== undefined) this.#pending.delete(id);
    return call;
  }

  succeed(id, text) {
    const call = this.#take(id);
    if (call === undefined) return;
    let value;
    try {
      value = fromJson(text);
    } catch (cause) {
      call.fail(() => new RpcPeerError(PeerErrorCode.RpcError, "the answer is no JSON", { cause }));
      return;
    }
    call.succeed(value);
  }

  /** @param text the error JSON of the boundary */
  fail(id, text) {
    const { thrown } = this.#core;
    this.failWith(id, () => errorFrom(JSON.parse(text), thrown));
  }

  failWith(id, makeError) {
    this.#take(id)?.fail(makeError);
  }

  rejectAll() {
    const core = this.#core;
    const calls = [...this.#pending.values()];
    this.#pending.clear();
    for (const call of calls) call.fail(() => core.closedError());
  }

  handle(method, handler) {
    if (typeof method !== "string") throw new TypeError("method must be a string");
    if (typeof handler !== "function") throw new TypeError("handler must be a function");
    const handlers = this.#handlers;
    if (handlers.has(method)) {
      throw new RpcPeerError(
        PeerErrorCode.RpcMethodAlreadyRegistered,
        `the method ${JSON.stringify(method)} has a handler already`,
      );
    }
    const entry = { handler };
    handlers.set(method, entry);
    this.#core.hold?.recheck();
    return () => {
      // Only its own: after an earlier removal another handler may have the name.
      if (handlers.get(method) === entry) handlers.delete(method);
    };
  }

  methods() {
    return [...this.#handlers.keys()].sort();
  }

  /** A request came in. */
  request(c0, c1, c2, c3, method, text) {
    const { hold } = this.#core;
    const entry = this.#handlers.get(method);
    if (hold !== null && (entry === undefined || hold.isWaiting("rpc", method))) {
      hold.add("rpc", method, {
        isWanted: () => this.#handlers.has(method),
        deliver: () => this.#dispatch(this.#handlers.get(method), c0, c1, c2, c3, method, text),
      });
      return;
    }
    this.#dispatch(entry, c0, c1, c2, c3, method, text);
  }

  #dispatch(entry, c0, c1, c2, c3, method, text) {
    if (entry !== undefined) this.#run(entry.handler, c0, c1, c2, c3, text);
    else this.#answerError(c0, c1, c2, c3, NO_SUCH_METHOD, `no such method: ${shortened(method)}`);
  }

  #run(handler, c0, c1, c2, c3, text) {
    let params;
    try {
      params = fromJson(text);
    } catch (error) {
      // Malformed envelopes are reported and dropped, never answered.
      this.#core.fail(error);
      return;
    }
    let result;
    try {
      result = handler(params);
      if (isThenable(result)) {
        Promise.resolve(result).then(
          (value) => this.#answer(c0, c1, c2, c3, value),
          (error) => this.#refuse(c0, c1, c2, c3, error),
        );
        return;
      }
    } catch (error) {
      this.#refuse(c0, c1, c2, c3, error);
      return;
    }
    this.#answer(c0, c1, c2, c3, result);
  }

  #answer(c0, c1, c2, c3, value) {
    const { handle, state } = this.#core;
    if (state === "closed") return;
    let text;
    try {
      text = toJson(value, "the result");
    } catch (error) {
      this.#refuse(c0, c1, c2, c3, error);
      return;
    }
    const status = boundary().respond(handle, c0, c1, c2, c3, text);
    if (status === Status.TooLarge) {
      this.#answerError(c0, c1, c2, c3, APPLICATION_ERROR, "the result is too large for a message");
    } else if (status === Status.TooDeep) {
      this.#answerError(c0, c1, c2, c3, APPLICATION_ERROR, "the result is nested too deeply");
    } else if (status !== Status.Ok && status !== Status.Closed) {
      this.#core.fail(statusError(status, "the result"));
    }
  }

  /** Answers with what a handler threw: its message and never its stack. */
  #refuse(c0, c1, c2, c3, error) {
    let code = APPLICATION_ERROR;
    let data;
    // An error that came over the wire, or was made to look so, keeps its code and data: that is how a handler
    // chooses them, and how a call that is passed on fails as it failed.
    if (error instanceof RpcPeerError && isApplicationCode(error.details?.wireCode)) {
      code = error.details.wireCode;
      try {
        data = toJson(error.details.data, "data");
      } catch {
        data = undefined;
      }
    }
    this.#answerError(c0, c1, c2, c3, code, messageOf(error), data);
  }

  #answerError(c0, c1, c2, c3, code, message, data) {
    const { handle, state } = this.#core;
    if (state === "closed") return;
    const status = boundary().respondError(handle, c0, c1, c2, c3, code, message, data);
    if (status === Status.TooLarge || status === Status.TooDeep) {
      boundary().respondError(handle, c0, c1, c2, c3, code, shortened(message), undefined);
    }
  }
}

function callSignal(options) {
  const { signal } = options;
  if (signal === undefined || signal === null) return undefined;
  if (typeof signal.addEventListener !== "function") throw new TypeError("signal must be an AbortSignal");
  return signal;
}

function cancelledError(signal) {
  return new RpcPeerError(PeerErrorCode.RpcCancelled, "the call was cancelled", { cause: signal.reason });
}

function throwUnlessOk(status, core) {
  if (status === Status.Ok) return;
  if (status === Status.Closed) throw core.closedError();
  throw statusError(status, "params");
}

function isApplicationCode(code) {
  return Number.isSafeInteger(code) && code >= APPLICATION_ERROR;
}

function messageOf(error) {
  try {
    const message = error !== null && typeof error === "object" ? error.message : undefined;
    return typeof message === "string" ? message : String(error);
  } catch {
    return "the handler failed";
  }
}

function shortened(text) {
  return text.length <= LONGEST_MESSAGE ? text : `${text.slice(0, LONGEST_MESSAGE)}…`;
}

module.exports = { RpcTable, FAILED };
