"use strict";
// The subscriptions of a peer and the events it emits.

const { boundary } = require("./dispatch.js");
const { PeerError, PeerErrorCode } = require("./errors.js");
const { toJson, fromJson } = require("./json.js");
const { isValidEventName, matchPattern, validatePattern } = require("./names.js");
const { callListener } = require("./report.js");
const { Status, statusError } = require("./status.js");

class EventTable {
  #core;
  /** By name, and those with a pattern; lists are replaced, never changed, so that a running dispatch is not disturbed. */
  #byName = new Map();
  #byPattern = [];
  #order = 0;

  constructor(core) {
    this.#core = core;
  }

  emit(name, data) {
    const core = this.#core;
    if (typeof name !== "string") throw new TypeError("event name must be a string");
    const text = toJson(data, "data");
    if (core.state === "closed" || core.outbox !== null) {
      if (!isValidEventName(name)) throw nameError(name);
      core.outbox?.addEvent(name, text);
      return;
    }
    const status = boundary().emit(core.handle, name, text);
    if (status === Status.BadName) throw nameError(name);
    if (status !== Status.Ok && status !== Status.Closed) throw statusError(status, "data");
  }

  on(name, handler) {
    if (typeof name !== "string") throw new TypeError("event name must be a string");
    if (typeof handler !== "function") throw new TypeError("handler must be a function");
    if (!isValidEventName(name)) throw nameError(name);
    const entry = { order: this.#order++, handler, active: true };
    this.#byName.set(name, [...(this.#byName.get(name) ?? []), entry]);
    this.#core.hold?.recheck();
    return () => {
      if (!entry.active) return;
      entry.active = false;
      const rest = this.#byName.get(name).filter((other) => other !== entry);
      if (rest.length > 0) this.#byName.set(name, rest);
      else this.#byName.delete(name);
    };
  }

  onPattern(pattern, handler) {
    validatePattern(pattern);
    if (typeof handler !== "function") throw new TypeError("handler must be a function");
    const entry = { order: this.#order++, handler, pattern, active: true };
    this.#byPattern = [...this.#byPattern, entry];
    this.#core.hold?.recheck();
    return () => {
      entry.active = false;
      this.#byPattern = this.#byPattern.filter((other) => other !== entry);
    };
  }

  /** An event came in. */
  receive(name, text) {
    const { hold } = this.#core;
    const entries = this.#subscribers(name);
    if (hold !== null && (entries.length === 0 || hold.isWaiting("event", name))) {
      hold.add("event", name, {
        isWanted: () => this.#subscribers(name).length > 0,
        deliver: () => this.#deliver(this.#subscribers(name), name, text),
      });
      return;
    }
    this.#deliver(entries, name, text);
  }

  #deliver(entries, name, text) {
    if (entries.length === 0) return;
    const { reportError } = this.#core;
    let data;
    try {
      data = fromJson(text);
    } catch (error) {
      this.#core.fail(error);
      return;
    }
    for (const entry of entries) {
      if (!entry.active) continue;
      if (entry.pattern === undefined) callListener(entry.handler, reportError, data);
      else callListener(entry.handler, reportError, name, data);
    }
  }

  /** Those who want the event, in the order in which they subscribed. */
  #subscribers(name) {
    const exact = this.#byName.get(name) ?? NOBODY;
    if (this.#byPattern.length === 0) return exact;
    const matching = this.#byPattern.filter((entry) => matchPattern(entry.pattern, name));
    return matching.length === 0 ? exact : [...exact, ...matching].sort((one, other) => one.order - other.order);
  }
}

const NOBODY = Object.freeze([]);

function nameError(name) {
  return new PeerError(PeerErrorCode.InvalidPattern, `not a valid event name: ${JSON.stringify(name.slice(0, 256))}`);
}

/** `peer.events`, as programs see it. */
class Events {
  #core;

  constructor(core) {
    this.#core = core;
  }

  emit(name, data) {
    this.#core.events.emit(name, data);
  }

  on(name, handler) {
    return this.#core.events.on(name, handler);
  }

  onPattern(pattern, handler) {
    return this.#core.events.onPattern(pattern, handler);
  }
}

module.exports = { EventTable, Events };
