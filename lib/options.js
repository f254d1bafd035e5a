"use strict";
// Checks of single options. Each throws a TypeError that names the field and never prints a secret.

function optionsObject(options, what) {
  if (options === null || typeof options !== "object") throw new TypeError(`${what}: options must be an object`);
  return options;
}

function requiredString(value, field) {
  if (typeof value !== "string" || value === "") throw new TypeError(`${field} must be a non-empty string`);
  return value;
}

function optionalString(value, field) {
  return value === undefined ? undefined : requiredString(value, field);
}

/** The callback `options[field]`, called with the options as `this`, as a method of them would be. */
function requiredCallback(options, field) {
  const callback = options[field];
  if (typeof callback !== "function") throw new TypeError(`${field} must be a function`);
  return (...values) => callback.apply(options, values);
}

function optionalCallback(options, field) {
  return options[field] === undefined ? undefined : requiredCallback(options, field);
}

/** A URL as text; the message shows no part of it, for there may be a token in its query. */
function url(value, field, ...protocols) {
  const parsed = typeof value === "string" && URL.canParse(value) ? new URL(value) : undefined;
  if (parsed === undefined || !protocols.includes(parsed.protocol)) {
    const kinds = protocols.map((protocol) => `${protocol}//`).join(" or ");
    throw new TypeError(`${field} must be a ${kinds} URL`);
  }
  return value;
}

function optionalUrl(value, field, ...protocols) {
  return value === undefined ? undefined : url(value, field, ...protocols);
}

function optionalSignal(value, field) {
  if (value === undefined || value === null) return undefined;
  if (typeof value.addEventListener !== "function" || typeof value.aborted !== "boolean") {
    throw new TypeError(`${field} must be an AbortSignal`);
  }
  return value;
}

module.exports = {
  optionsObject,
  requiredString,
  optionalString,
  requiredCallback,
  optionalCallback,
  url,
  optionalUrl,
  optionalSignal,
};
