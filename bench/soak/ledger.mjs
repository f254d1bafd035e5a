// What was done to the fleet, what came of it, and whether the one explains the other.

/** Failures that a kind of event allows; anything else, or one at another time, is a violation. */
const ALLOWED = {
  "link drop": ["session_paused", "rpc_timeout"],
  "session drop": ["not_connected", "rpc_timeout", "peer_closed"],
  "daemon kill": ["session_paused", "not_connected", "rpc_timeout"],
  "client kill": ["peer_closed", "not_connected", "rpc_timeout"],
  "client end": ["peer_closed", "not_connected", "rpc_timeout"],
  "client freeze": ["rpc_timeout"],
  "relay stop": ["session_paused", "not_connected", "rpc_timeout", "peer_closed"],
  "relay kill": ["session_paused", "not_connected", "rpc_timeout", "peer_closed"],
  "all at once": ["session_paused", "not_connected", "rpc_timeout", "peer_closed"],
};

/** How long the messages about one event may take to arrive, in no order. */
const SETTLE_MS = 5_000;

export class Ledger {
  events = [];
  violations = [];
  /** Counts by "kind: error" of what was explained. */
  explained = {};
  lost = {};
  #open = [];

  /** Enters an event before it is carried out. `slots` may still grow: see `expects`. */
  begin(event) {
    const entered = { at: Date.now(), recoveredAt: undefined, ...event };
    this.events.push(entered);
    return entered;
  }

  get running() {
    return this.events.filter(({ recoveredAt }) => recoveredAt === undefined);
  }

  violation(what, where = {}) {
    this.violations.push({ at: new Date().toISOString(), what, ...where });
    console.error(`✗ ${what} ${JSON.stringify(where)}`);
  }

  /** Something that only an event may have caused: judged a little later. */
  needsExplanation(entry) {
    this.#open.push({ startedAt: entry.at, ...entry });
  }

  /** Judges what is old enough; everything with `all`. */
  judge({ all = false } = {}) {
    const until = all ? Infinity : Date.now() - SETTLE_MS;
    const due = this.#open.filter(({ at }) => at <= until);
    this.#open = this.#open.filter(({ at }) => at > until);
    for (const entry of due) this.#judge(entry);
  }

  #judge(entry) {
    const causes = this.events.filter((event) => touches(event, entry) && overlaps(event, entry));
    const cause = entry.failure
      ? causes.find(({ kind }) => ALLOWED[kind].some((code) => entry.error.endsWith(` ${code}`)))
      : causes[0];
    if (cause === undefined) {
      const known = causes.map(({ kind }) => kind).join(", ") || "nothing";
      return this.violation(`${entry.what}: ${entry.error}, explained by ${known}`, entry);
    }
    const key = `${entry.what}: ${entry.error}`;
    const row = (this.explained[cause.kind] ??= {});
    row[key] = (row[key] ?? 0) + (entry.times ?? 1);
  }
}

function touches(event, { slot, daemonId }) {
  if (event.everything || (slot === undefined && daemonId === undefined)) return true;
  return slot === undefined ? event.daemonIds.has(daemonId) : event.slots.has(slot);
}

function overlaps(event, { startedAt, at }) {
  return event.at - 50 <= at && (event.recoveredAt === undefined || startedAt <= event.recoveredAt + 1_000);
}
