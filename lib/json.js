"use strict";
// JSON is printed and parsed by V8. What it cannot carry is a TypeError, and nothing is sent.

/**
 * The JSON text of `value`, or `undefined` where the value is absent.
 * @param {string} what how the error names the value
 */
function toJson(value, what) {
  if (value === undefined) return undefined;
  let text;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    const why = cause instanceof RangeError ? "it is nested too deeply" : cause?.message;
    throw new TypeError(`${what} cannot be carried by JSON: ${why}`, { cause });
  }
  if (text === undefined && (typeof value === "function" || typeof value === "symbol")) {
    throw new TypeError(`${what} cannot be carried by JSON: it is a ${typeof value}`);
  }
  return text;
}

/** The value of a JSON text, untouched; absent text is `undefined`. */
function fromJson(text) {
  return text === undefined ? undefined : JSON.parse(text);
}

module.exports = { toJson, fromJson };
