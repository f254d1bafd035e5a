"use strict";
// Messages that nobody wants yet, while `onConnection` is pending: it may register its handlers later.

/** So many messages wait; one more is the end of their peer (protocol.md, section 5). */
const LIMIT = 1024;

class HoldQueue {
  #items = [];
  /** How many wait under each name, so that a name's later messages cannot overtake its earlier ones. */
  #waiting = new Map();
  #rechecking = false;
  #cleared = false;
  #overflowed;

  /** @param overflowed called when a message comes that there is no room for */
  constructor(overflowed) {
    this.#overflowed = overflowed;
  }

  isWaiting(kind, name) {
    return this.#waiting.size > 0 && this.#waiting.has(`${kind}:${name}`);
  }

  /**
   * @param message `isWanted()` says whether somebody has registered for it by now, `deliver()` hands it over
   */
  add(kind, name, message) {
    if (this.#items.length >= LIMIT) {
      this.#overflowed(LIMIT);
      return;
    }
    const key = `${kind}:${name}`;
    this.#items.push({ key, ...message });
    this.#waiting.set(key, (this.#waiting.get(key) ?? 0) + 1);
  }

  /**
   * Somebody registered: after the code that did so had its turn, what is wanted by now goes out, in order. It does not
   * wait for what nobody wants: `onConnection` itself may be waiting for it.
   */
  recheck() {
    if (this.#rechecking || this.#items.length === 0) return;
    this.#rechecking = true;
    queueMicrotask(() => {
      this.#rechecking = false;
      this.#deliver((item) => item.isWanted());
    });
  }

  /** `onConnection` is done: everything goes out, wanted or not. The queue is no longer in use by then. */
  release() {
    this.#deliver(() => true);
  }

  /** The peer closed: nobody can be answered any more. */
  clear() {
    this.#cleared = true;
    this.#items = [];
  }

  #deliver(isDue) {
    const left = [];
    for (const item of this.#items) {
      if (this.#cleared) return;
      if (isDue(item)) {
        this.#forget(item.key);
        item.deliver();
      } else {
        left.push(item);
      }
    }
    this.#items = left;
  }

  #forget(key) {
    const count = this.#waiting.get(key);
    if (count === 1) this.#waiting.delete(key);
    else this.#waiting.set(key, count - 1);
  }
}

module.exports = { HoldQueue };
