"use strict";
// What every peer is made of, client's or daemon's: its state and the events of its changes, who waits for it, its
// tables of calls, handlers and subscriptions, and its way to the addon. The public classes are faces of it.

const { boundary, register, unregister } = require("./dispatch.js");
const { errorFrom, PeerError, PeerErrorCode } = require("./errors.js");
const { ListenerTable } = require("./listeners.js");
const { report } = require("./report.js");
const { RpcTable } = require("./rpc-table.js");
const { EventTable } = require("./event-table.js");

/** The boundary's numbers for the states. */
const STATES = ["idle", "connecting", "negotiating", "active", "paused", "reconnecting", "closed"];

class PeerCore {
  state;
  peerId;
  handle = 0;
  /** Why the peer closed, where there was a reason. */
  ending;
  /** Why the last attempt failed, or what dropped the connection, until the peer is active again. */
  #setback;
  /** What the program's callbacks threw in this attempt, by ask id. */
  thrown = new Map();
  /** Messages that wait for `onConnection`, while it is pending. */
  hold = null;
  /** Calls and events from before `connect()`, while the peer is idle. */
  outbox = null;
  #readyWaiters = new Set();
  #changes = [];
  #announcing = false;
  #gone;
  #resolveGone;

  /**
   * @param {{state: string, onUnhandledError: (error: unknown) => void, defaultTimeoutMs: number}} setup
   */
  constructor(setup) {
    this.state = setup.state;
    this.onUnhandledError = setup.onUnhandledError;
    this.reportError = (error) => report(this.onUnhandledError, error);
    this.listeners = new ListenerTable(this.reportError);
    this.rpc = new RpcTable(this, setup.defaultTimeoutMs);
    this.events = new EventTable(this);
    this.#gone = new Promise((resolve) => {
      this.#resolveGone = resolve;
    });
  }

  get connected() {
    return this.state === "active" || this.state === "paused";
  }

  /** Binds the peer to the addon's handle: its records come here from now on. */
  attach(handle) {
    this.handle = handle;
    register(handle, this);
  }

  /** Resolves when the transport is gone. */
  get gone() {
    return this.#gone;
  }

  // Records of the addon. Those that come after the peer closed are of no interest to anybody, `gone` excepted.

  onResult(id, text) {
    this.rpc.succeed(id, text);
  }

  onFailure(id, text) {
    this.rpc.fail(id, text);
  }

  onRequest(c0, c1, c2, c3, method, text) {
    if (this.state !== "closed") this.rpc.request(c0, c1, c2, c3, method, text);
  }

  onEvent(name, text) {
    if (this.state !== "closed") this.events.receive(name, text);
  }

  onState(number, peerId, errorText) {
    if (this.state === "closed") return;
    const next = STATES[number];
    if (next === "active" && peerId !== "") this.peerId = peerId;
    const error = errorText === undefined ? undefined : errorFrom(JSON.parse(errorText), this.thrown);
    // An attempt's own errors are kept no longer than the attempt.
    if (next === "connecting" || next === "active") this.thrown.clear();
    if (next === "reconnecting") this.#setback = error;
    else if (next === "active") this.#setback = undefined;
    if (next === "closed") this.end(error);
    else this.moveTo(next);
  }

  onUnhandled(text) {
    if (this.state !== "closed") this.fail(errorFrom(JSON.parse(text), this.thrown));
  }

  onGone() {
    this.end(undefined);
    this.#resolveGone();
  }

  /** An error of the connection that no promise carries. */
  fail(error) {
    this.listeners.emit("error", error);
    this.reportError(error);
  }

  /** Closes at once, by the program's wish; the transport follows. Resolves when it is gone. */
  close() {
    if (this.state !== "closed") {
      const { handle } = this;
      this.end(undefined);
      if (handle === 0) this.#resolveGone();
      else boundary().closePeer(handle);
    }
    return this.#gone;
  }

  /** Enters `closed`, for good. */
  end(error) {
    if (this.state === "closed") return;
    this.ending = error;
    this.thrown.clear();
    this.hold?.clear();
    this.hold = null;
    this.outbox?.clear();
    this.outbox = null;
    this.moveTo("closed");
  }

  /** Forgets the handle without waiting for its `gone`: its owner is gone already. */
  abandon() {
    unregister(this.handle);
    this.onGone();
  }

  moveTo(next) {
    const previous = this.state;
    if (next === previous) return;
    this.state = next;
    if (next === "active") this.#settleReady();
    if (next === "closed") {
      this.rpc.rejectAll();
      this.#settleReady();
    }
    this.onMoved(next);
    this.#changes.push({ state: next, previous });
    this.#announce();
  }

  /** For what belongs to a state besides its events. */
  onMoved(_next) {}

  /** What ended the peer, told after the listeners know that it is closed. */
  onEnded(error) {
    this.listeners.emit("error", error);
  }

  /** Tells the listeners, change by change, also when one of them changes the state itself. */
  #announce() {
    if (this.#announcing) return;
    this.#announcing = true;
    for (let change = this.#changes.shift(); change !== undefined; change = this.#changes.shift()) {
      const { state, previous } = change;
      const wasConnected = previous === "active" || previous === "paused";
      this.listeners.emit("stateChange", change);
      if (state === "active") this.listeners.emit(previous === "paused" ? "sessionResumed" : "connected");
      else if (state === "paused") this.listeners.emit("sessionPaused");
      else if (wasConnected) this.listeners.emit("disconnected");
      if (state === "reconnecting") this.listeners.emit("reconnecting");
      if (state === "closed" && this.ending !== undefined) this.onEnded(this.ending);
    }
    this.#announcing = false;
  }

  /** Resolves in `active`; rejects when the peer closes first. */
  whenReady(signal, site) {
    if (this.state === "active") return Promise.resolve();
    if (this.state === "closed") return Promise.reject(this.closedError());
    return new Promise((resolve, reject) => {
      const waiter = {
        settle: () => {
          signal?.removeEventListener("abort", onAbort);
          if (this.state === "active") resolve();
          else reject(site.applyTo(this.closedError()));
        },
      };
      const onAbort = () => {
        this.#readyWaiters.delete(waiter);
        reject(site.applyTo(this.cancelledError(signal.reason)));
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#readyWaiters.add(waiter);
    });
  }

  #settleReady() {
    const waiters = [...this.#readyWaiters];
    this.#readyWaiters.clear();
    for (const waiter of waiters) waiter.settle();
  }

  /** What a wait that the program gave up fails with: it says why the peer is not connected, where that is known. */
  cancelledError(reason) {
    const why = this.#setback === undefined ? "" : `; the last attempt failed: ${this.#setback.message}`;
    return new PeerError(PeerErrorCode.Cancelled, `waiting for the peer was cancelled${why}`, { cause: reason });
  }

  /** What an operation on a closed peer fails with. The cause is what ended the peer. */
  closedError() {
    const { ending } = this;
    const cause = ending instanceof PeerError && ending.code === PeerErrorCode.PeerClosed ? ending.cause : ending;
    const why = ending === undefined ? "the peer is closed" : ending.message;
    return new PeerError(PeerErrorCode.PeerClosed, why, { cause });
  }
}

module.exports = { PeerCore };
