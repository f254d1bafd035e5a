"use strict";
// The listeners of a peer's lifecycle events. One that throws or rejects is reported and stops nothing.

const { callListener } = require("./report.js");

const NAMES = ["stateChange", "connected", "disconnected", "reconnecting", "sessionPaused", "sessionResumed", "error"];

class ListenerTable {
  /** By event name; the lists are replaced, never changed, so that a running emit is not disturbed. */
  #lists = new Map(NAMES.map((name) => [name, []]));
  #onError;

  constructor(onError) {
    this.#onError = onError;
  }

  add(name, listener) {
    const list = this.#lists.get(name);
    if (list === undefined) throw new TypeError(`event must be one of ${NAMES.join(", ")}`);
    if (typeof listener !== "function") throw new TypeError("listener must be a function");
    const entry = { listener, active: true };
    this.#lists.set(name, [...list, entry]);
    return () => {
      entry.active = false;
      this.#lists.set(
        name,
        this.#lists.get(name).filter((other) => other !== entry),
      );
    };
  }

  emit(name, value) {
    for (const entry of this.#lists.get(name)) {
      if (entry.active) callListener(entry.listener, this.#onError, value);
    }
  }
}

module.exports = { ListenerTable };
