"use strict";
// Checks of single options. Each throws a TypeError that names the field and never prints a secret.

const { types } = require("node:util");
const { native } = require("./native.js");

/** Far more than anybody has to say, far less than a frame. */
const LONGEST_TEXTS = 16_384;

function optionsObject(options, what) {
  if (options === null || typeof options !== "object") throw new TypeError(`${what}: options must be an object`);
  return options;
}

function requiredString(value, field) {
  if (typeof value !== "string" || value === "") throw new TypeError(`${field} must be a non-empty string`);
  return value;
}

/** A key that travels in a header. A line break from the end of a file is the usual mistake. */
function requiredKey(value, field) {
  if (/[^\x21-\x7e]/.test(requiredString(value, field))) {
    throw new TypeError(`${field} must not contain blanks, line breaks or characters outside ASCII`);
  }
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

function optionalBoolean(value, field) {
  if (value !== undefined && typeof value !== "boolean") throw new TypeError(`${field} must be true or false`);
  return value;
}

/** Texts for the SBP handshake, which has to fit into one frame with them. */
function optionalTexts(value, field) {
  if (value === undefined) return undefined;
  const texts = Array.isArray(value) ? [...value] : [undefined];
  if (!texts.every((text) => typeof text === "string")) throw new TypeError(`${field} must be an array of strings`);
  if (Buffer.byteLength(JSON.stringify(texts)) > LONGEST_TEXTS) {
    throw new TypeError(`${field} must not be longer than ${LONGEST_TEXTS} bytes of JSON`);
  }
  return texts;
}

/** Root certificates in PEM: a text, bytes, or an array of these. Gives one text. */
function optionalRoots(value, field) {
  if (value === undefined) return undefined;
  const given = Array.isArray(value) ? value.map((pem, index) => [pem, `${field}[${index}]`]) : [[value, field]];
  const texts = given.map(([pem, name]) => {
    const text = types.isUint8Array(pem) ? Buffer.from(pem).toString("latin1") : pem;
    if (typeof text !== "string") throw new TypeError(`${name} must be PEM text or bytes`);
    const fault = native().checkRoots(text);
    if (fault !== null) throw new TypeError(`${name}: ${fault}`);
    return text;
  });
  return texts.length > 0 ? texts.join("\n") : undefined;
}

/** What there is about reaching a relay or a server, whatever the two sides say there then. */
function dialling(options) {
  return {
    ca: optionalRoots(options.ca, "ca"),
    tokenInHeader: optionalBoolean(options.tokenInHeader, "tokenInHeader"),
  };
}

/** Refuses options that would do nothing here. */
function without(options, why, ...fields) {
  for (const field of fields) {
    if (options[field] !== undefined) throw new TypeError(`${field} is not possible here: ${why}`);
  }
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
  requiredKey,
  optionalString,
  requiredCallback,
  optionalCallback,
  url,
  optionalUrl,
  optionalTexts,
  optionalSignal,
  dialling,
  without,
};
