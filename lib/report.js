"use strict";
// Errors that no promise carries go to the program's `onUnhandledError`, which itself must never break anything.

/** Calls `handler` with `error`; what it throws or rejects with ends on the console. */
function report(handler, error) {
  try {
    const result = handler(error);
    if (isThenable(result)) Promise.resolve(result).catch(toConsole);
  } catch (second) {
    toConsole(second);
  }
}

function toConsole(error) {
  try {
    console.error(error);
  } catch {
    // A console that throws leaves nowhere to report to.
  }
}

/** Whether `value` is something to wait for. Throws what a hostile `then` getter throws. */
function isThenable(value) {
  return (
    value !== null && (typeof value === "object" || typeof value === "function") && typeof value.then === "function"
  );
}

/** Calls a listener; what it throws or rejects with is given to `onError`. */
function callListener(listener, onError, ...values) {
  try {
    const result = listener(...values);
    if (isThenable(result)) Promise.resolve(result).catch(onError);
  } catch (error) {
    onError(error);
  }
}

module.exports = { report, isThenable, callListener, toConsole };
