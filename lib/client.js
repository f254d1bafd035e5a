"use strict";
// The client's peer: it connects, reconnects by its policy, and closes.

const { answer } = require("./asks.js");
const { BasePeer } = require("./base-peer.js");
const { captureCallSite } = require("./callsite.js");
const { PeerCore } = require("./core.js");
const { boundary } = require("./dispatch.js");
const { PeerError, PeerErrorCode, terminalError } = require("./errors.js");
const { KeepAlive } = require("./keepalive.js");
const { Outbox } = require("./outbox.js");
const { Status, statusError } = require("./status.js");

class ClientCore extends PeerCore {
  keepAlive = new KeepAlive();
  #plan;
  #callbacks;
  #alwaysReports;
  #cycle;
  #running;
  /** Whether the promise of `connect()` told how the peer ended. */
  #carried = false;

  /**
   * @param {object} setup
   *   plan: what the addon connects by; callbacks: what it may ask;
   *   alwaysReports: whether the end is reported even where the promise of `connect()` carries it
   */
  constructor({ plan, callbacks, alwaysReports, ...setup }) {
    super({ ...setup, state: "idle" });
    this.#plan = plan;
    this.#callbacks = callbacks;
    this.#alwaysReports = alwaysReports;
    this.outbox = new Outbox(this, { onDisconnect: plan.onDisconnect, ...plan.rpc, ...plan.event });
  }

  /** The promise of this reconnect cycle, where there is one. */
  get reconnecting() {
    return this.#cycle?.promise;
  }

  start() {
    const addon = boundary();
    this.attach(addon.connectPeer(JSON.stringify(this.#plan)));
    this.keepAlive.start();
    const { outbox, handle } = this;
    this.outbox = null;
    outbox.drain(
      (id, method, text, timeoutMs) => {
        const status = addon.call(handle, id, method, text, timeoutMs);
        if (status !== Status.Ok) this.rpc.failWith(id, () => statusError(status, "params"));
      },
      (name, text) => {
        const status = addon.emit(handle, name, text);
        if (status !== Status.Ok) this.fail(statusError(status, "data"));
      },
    );
    this.moveTo("connecting");
  }

  /** `peer.connect()`. */
  connect(above) {
    const { state } = this;
    if (state === "closed") throw this.closedError();
    if (state !== "idle" && state !== "connecting" && state !== "negotiating") {
      throw new PeerError(PeerErrorCode.InvalidState, `connect() is not possible while the peer is ${state}`);
    }
    this.#running ??= new Running(captureCallSite(above, 0));
    const { promise } = this.#running;
    if (state === "idle") this.start();
    return promise;
  }

  onAsk(id, question, argument) {
    if (this.state !== "closed") void answer(this, id, question, argument, this.#callbacks);
  }

  onGone() {
    super.onGone();
    this.keepAlive.stop();
  }

  end(error) {
    super.end(error === undefined ? undefined : terminalError(error));
  }

  onMoved(state) {
    if (state === "reconnecting") this.#cycle ??= new Cycle();
    if (state !== "active" && state !== "closed") return;
    this.#cycle?.settle(state, this.ending);
    this.#cycle = undefined;
    const running = this.#running;
    this.#running = undefined;
    if (state === "active") {
      running?.resolve();
    } else {
      this.#carried = running !== undefined;
      running?.reject(this.ending ?? this.closedError());
    }
  }

  onEnded(error) {
    super.onEnded(error);
    if (this.#alwaysReports || !this.#carried) this.reportError(error);
  }
}

/** The promise of `connect()`, while there is one. */
class Running {
  #site;
  #reject;

  constructor(site) {
    this.#site = site;
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.#reject = reject;
    });
  }

  reject(error) {
    this.#reject(this.#site === undefined ? error : this.#site.applyTo(error));
  }
}

/** One reconnect cycle: from a lost connection, or a failed first attempt, to `active` or `closed`. */
class Cycle {
  #resolve;

  constructor() {
    this.promise = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  settle(state, ending) {
    if (state === "active") this.#resolve({ status: "connected" });
    else if (ending === undefined) this.#resolve({ status: "aborted" });
    else this.#resolve({ status: "failed", error: ending });
  }
}

class Peer extends BasePeer {
  #core;

  constructor(core) {
    super(core);
    this.#core = core;
  }

  get reconnecting() {
    return this.#core.reconnecting;
  }

  connect() {
    return this.#core.connect(Peer.prototype.connect);
  }

  ref() {
    this.#core.keepAlive.ref();
    return this;
  }

  unref() {
    this.#core.keepAlive.unref();
    return this;
  }
}

module.exports = { ClientCore, Peer };
