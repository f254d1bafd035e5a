// The receiving end of numbered events: within a session each comes once and in order; across the sessions of one sender
// numbers only grow, since an event may be lost with a connection but never comes twice.

export class Sequence {
  #session;
  #last = 0;
  #ended = new Set();

  /**
   * Takes note of an event.
   * @param {string} session the session it came in
   * @param {number} number
   * @param {boolean} continues whether numbers go on across sessions, instead of starting again from 1
   * @returns {{fault?: string, lost: number}} `lost`: how many are missing within the session
   */
  next(session, number, continues) {
    if (this.#ended.has(session)) return { fault: `event ${number} of a session that is over`, lost: 0 };
    const fresh = session !== this.#session;
    if (fresh) {
      if (this.#session !== undefined) this.#ended.add(this.#session);
      this.#session = session;
      if (!continues) this.#last = 0;
    }
    const last = this.#last;
    if (number <= last) return { fault: `event ${number} after ${last}`, lost: 0 };
    this.#last = number;
    return { lost: fresh && continues ? 0 : number - last - 1 };
  }
}
