"use strict";
// What a peer is given to send before its first `connect()`: by policy it waits, as it would for a reconnect.

const { PeerError, PeerErrorCode, RpcPeerError } = require("./errors.js");
const { native } = require("./native.js");
const { statusError } = require("./status.js");

class Outbox {
  #core;
  #policies;
  #items = [];
  #bytes = 0;
  #events = 0;

  constructor(core, policies) {
    this.#core = core;
    this.#policies = policies;
  }

  /** What is taken here, the addon takes too: it counts the same bytes against the same limit. */
  addCall(id, method, text, timeoutMs) {
    const { onDisconnect, disconnectBufferLimitBytes } = this.#policies;
    const bytes = checked(native().callSize(method, text), "params");
    if (onDisconnect === "fail") throw new PeerError(PeerErrorCode.NotConnected, "the peer is not connected");
    if (this.#bytes + bytes > disconnectBufferLimitBytes) {
      throw new PeerError(PeerErrorCode.BufferOverflow, "the buffer for calls that wait for a connection is full");
    }
    this.#bytes += bytes;
    // The longest time-out does not fit a timer and means "without": such a call waits as long as it takes.
    const timer = timeoutMs < 2 ** 31 ? setTimeout(() => this.#expire(id), timeoutMs) : undefined;
    this.#items.push({ id, method, text, bytes, deadline: Date.now() + timeoutMs, timer });
  }

  #expire(id) {
    this.removeCall(id);
    const error = () => new RpcPeerError(PeerErrorCode.RpcTimeout, "the call timed out");
    this.#core.rpc.failWith(id, error);
  }

  removeCall(id) {
    const index = this.#items.findIndex((item) => item.id === id);
    if (index === -1) return;
    const [item] = this.#items.splice(index, 1);
    clearTimeout(item.timer);
    this.#bytes -= item.bytes;
  }

  addEvent(name, text) {
    const { maxBufferedEvents } = this.#policies;
    checked(native().eventSize(name, text), "data");
    if (maxBufferedEvents === 0) return;
    if (this.#events === maxBufferedEvents) {
      this.#items.splice(
        this.#items.findIndex((item) => item.id === undefined),
        1,
      );
    } else {
      this.#events += 1;
    }
    this.#items.push({ name, text });
  }

  /** Hands everything over, in order, each call with what is left of its time. */
  drain(sendCall, sendEvent) {
    const items = this.#items;
    this.clear();
    for (const { id, method, name, text, deadline } of items) {
      if (id === undefined) sendEvent(name, text);
      else sendCall(id, method, text, Math.max(deadline - Date.now(), 1));
    }
  }

  clear() {
    for (const { timer } of this.#items) clearTimeout(timer);
    this.#items = [];
    this.#bytes = 0;
    this.#events = 0;
  }
}

/** The size of a message that may be sent; below zero it is the status of one that may not, negated. */
function checked(size, what) {
  if (size < 0) throw statusError(-size, what);
  return size;
}

module.exports = { Outbox };
