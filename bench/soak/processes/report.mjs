// What a child of the soak tells its conductor, and what it tracks by itself.
import { readdirSync } from "node:fs";

export const options = JSON.parse(process.argv[2]);

/** Sends a message to the conductor; lost when the conductor is gone, which ends the child too. */
export function tell(kind, content = {}) {
  if (process.connected) process.send({ kind, at: Date.now(), ...content });
}

/** Something that must never happen. */
export const violation = (what, where = {}) => tell("violation", { what, ...where });

/** How an error reads in the report: its class and its code or status. */
export const nameOf = (error) => `${error?.name ?? typeof error} ${error?.code ?? error?.status ?? error?.message}`;

const counters = {};

/** Counts something for the report. */
export function count(name, by = 1) {
  counters[name] = (counters[name] ?? 0) + by;
}

const pending = new Map();
let nextCall = 0;

/**
 * Makes a call, and holds it to its promise: it settles in time, with the answer that belongs to it. A failure goes to the
 * conductor, which knows what went on at that time.
 */
export async function tracked(call, { timeoutMs, where, check }) {
  const id = (nextCall += 1);
  const startedAt = Date.now();
  pending.set(id, { startedAt, timeoutMs, where });
  count("calls");
  try {
    check(await call());
    count("answers");
  } catch (error) {
    count("failures");
    tell("failure", { ...where, error: nameOf(error), message: String(error?.message), startedAt });
  } finally {
    pending.delete(id);
  }
}

/** How many calls have not settled. */
export const unsettled = () => pending.size;

// A process that was stopped for a while finds its timers late; what it sees right after is no verdict.
let lastLook = Date.now();

function look() {
  const now = Date.now();
  const late = now - lastLook > 3_000;
  lastLook = now;
  if (late) return;
  for (const [id, { startedAt, timeoutMs, where }] of pending) {
    if (now - startedAt < timeoutMs + 5_000) continue;
    violation(`a call has not settled ${now - startedAt} ms after its start`, where);
    pending.delete(id);
  }
}

function sample() {
  globalThis.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  const descriptors = process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0;
  tell("sample", { rss, heapUsed, descriptors, pending: pending.size, counters });
}

const timers = [setInterval(look, 1_000), setInterval(sample, options.sampleMs)];
let finished = false;

/** Tells the last figures and lets the process end by itself: whatever still runs then is a fault. */
export function finish() {
  sample();
  for (const timer of timers) clearInterval(timer);
  finished = true;
  tell("finished");
  process.disconnect();
}

process.on("disconnect", () => {
  // The conductor died: nobody is left to report to.
  if (!finished) process.exit(1);
});
for (const event of ["unhandledRejection", "uncaughtException"]) {
  process.on(event, (error) => violation(`${event}: ${error?.stack ?? error}`));
}
