"use strict";
// Messages that nobody wants yet, while `onConnection` is pending: it may register its handlers later.

/** So many messages wait; one more is refused. */
const LIMIT = 1024;

class HoldQueue {
  #items = [];
  /** How many wait under each name, so that a name's later messages cannot overtake its earlier ones. */
  #waiting = new Map();
  #rechecking = false;

  isWaiting(kind, name) {
    return this.#waiting.size > 0 && this.#waiting.has(`${kind}:${name}`);
  }

  /**
   * @param message `isWanted()` says whether somebody has registered for it by now, `deliver()` hands it over
   * @returns {boolean} whether there was room
   */
  add(kind, name, message) {
    if (this.#items.length >= LIMIT) return false;
    const key = `${kind}:${name}`;
    this.#items.push({ key, ...message });
    this.#waiting.set(key, (this.#waiting.get(key) ?? 0) + 1);
    return true;
  }

  /**
   * Somebody registered: after the code that did so had its turn, messages that are wanted now go out, in order, up to
   * the first that is not.
   */
  recheck() {
    if (this.#rechecking || this.#items.length === 0) return;
    this.#rechecking = true;
    queueMicrotask(() => {
      this.#rechecking = false;
      while (this.#items.length > 0 && this.#items[0].isWanted()) this.#shift().deliver();
    });
  }

  /** `onConnection` is done: everything goes out, wanted or not. The queue is no longer in use by then. */
  release() {
    while (this.#items.length > 0) this.#shift().deliver();
  }

  /** The peer closed: nobody can be answered any more. */
  clear() {
    this.#items = [];
    this.#waiting.clear();
  }

  #shift() {
    const item = this.#items.shift();
    const left = this.#waiting.get(item.key) - 1;
    if (left === 0) this.#waiting.delete(item.key);
    else this.#waiting.set(item.key, left);
    return item;
  }
}

module.exports = { HoldQueue };
