"use strict";
// What the addon finds out about a message when it builds its frame, for messages that wait in JavaScript because there
// is no connection to give them to yet (protocol.md, sections 2 to 4).

const { Status } = require("./status.js");

/** Bytes of a frame that one Data frame carries. */
const LONGEST_FRAME = 65_508;
/** Levels of nesting that go through. */
const DEEPEST = 128;
/** Kind, flags and id of a frame, and the length of its subject. */
const FRAME_HEAD = 1 + 1 + 16 + 4;
const CID_DIGITS = 32;
const REQUEST = FRAME_HEAD + 'rpc{"t":"r","m":,"cid":""}'.length + CID_DIGITS;
const NOTIFICATION = FRAME_HEAD + 'event{"t":"N","e":}'.length;
/** Before the params of a request or the data of a notification. */
const REQUEST_MEMBER = ',"p":'.length;
const NOTIFICATION_MEMBER = ',"d":'.length;

/** The bytes of a call's frame. */
function requestBytes(method, text) {
  const params = text === undefined ? 0 : REQUEST_MEMBER + Buffer.byteLength(text);
  return REQUEST + Buffer.byteLength(JSON.stringify(method)) + params;
}

/** The bytes of an event's frame. */
function notificationBytes(name, text) {
  const data = text === undefined ? 0 : NOTIFICATION_MEMBER + Buffer.byteLength(text);
  return NOTIFICATION + Buffer.byteLength(JSON.stringify(name)) + data;
}

/**
 * Whether a message may be sent at all.
 * @param {number} bytes of its frame
 * @param {string | undefined} text its JSON
 */
function sendable(bytes, text) {
  if (text !== undefined && exceedsNesting(text)) return Status.TooDeep;
  return bytes > LONGEST_FRAME ? Status.TooLarge : Status.Ok;
}

/** Whether brackets outside strings nest too deeply. Does not recurse: the text may be anything that V8 prints. */
function exceedsNesting(text) {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text[at]) {
      case "[":
      case "{":
        depth += 1;
        if (depth > DEEPEST) return true;
        break;
      case "]":
      case "}":
        depth -= 1;
        break;
      case '"':
        at = endOfString(text, at);
        break;
    }
  }
  return false;
}

/** Where the string that begins at `at` has its closing quote. */
function endOfString(text, at) {
  let end = at + 1;
  while (text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
  return end;
}

module.exports = { requestBytes, notificationBytes, sendable };
