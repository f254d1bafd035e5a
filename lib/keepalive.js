"use strict";
// What keeps the process alive: a listening server or a connecting or connected peer does, as a socket would; everything
// in the addon is weak. One timer per environment, held while anybody needs it.

/** The longest interval there is: the timer is there to be referenced, not to fire. */
const LONGEST_MS = 2 ** 31 - 1;

let holders = 0;
let timer;

function hold() {
  if (holders++ === 0) timer = setInterval(() => {}, LONGEST_MS);
}

function drop() {
  if (--holders === 0) {
    clearInterval(timer);
    timer = undefined;
  }
}

/** One owner's hold on the process. */
class KeepAlive {
  #running = false;
  #wanted = true;

  /** The owner has something running. */
  start() {
    if (this.#running) return;
    this.#running = true;
    if (this.#wanted) hold();
  }

  /** Nothing of the owner's runs any more. */
  stop() {
    if (!this.#running) return;
    this.#running = false;
    if (this.#wanted) drop();
  }

  ref() {
    if (this.#wanted) return;
    this.#wanted = true;
    if (this.#running) hold();
  }

  unref() {
    if (!this.#wanted) return;
    this.#wanted = false;
    if (this.#running) drop();
  }
}

module.exports = { KeepAlive };
