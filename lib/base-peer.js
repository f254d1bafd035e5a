"use strict";
// What programs see of every peer, client's or daemon's.

const { inspect } = require("node:util");
const { captureCallSite } = require("./callsite.js");
const { optionalSignal } = require("./options.js");
const { Events } = require("./event-table.js");
const { Rpc } = require("./rpc.js");

class BasePeer {
  #core;
  #rpc;
  #events;

  constructor(core) {
    this.#core = core;
    this.#rpc = new Rpc(core);
    this.#events = new Events(core);
  }

  get state() {
    return this.#core.state;
  }

  get connected() {
    return this.#core.connected;
  }

  get ready() {
    return this.#core.state === "active";
  }

  get peerId() {
    return this.#core.peerId;
  }

  get rpc() {
    return this.#rpc;
  }

  get events() {
    return this.#events;
  }

  disconnect() {
    return this.#core.close();
  }

  async whenReady(options) {
    const signal = optionalSignal(options?.signal, "signal");
    const site = captureCallSite(BasePeer.prototype.whenReady, 0);
    if (signal?.aborted) throw this.#core.cancelledError(signal.reason);
    await this.#core.whenReady(signal, site);
  }

  on(event, listener) {
    return this.#core.listeners.add(event, listener);
  }

  [Symbol.dispose]() {
    this.disconnect();
  }

  async [Symbol.asyncDispose]() {
    await this.disconnect();
  }

  [inspect.custom](depth, options) {
    const name = this.constructor.name;
    if (depth < 0) return `[${name}]`;
    return `${name} ${inspect({ state: this.state, peerId: this.peerId }, options)}`;
  }
}

module.exports = { BasePeer };
