"use strict";
// The one way back from Rust: a batch of records, read in place, routed by handle.
//
// A record is 32 bytes, little-endian, and then its two texts:
//   u8 kind, u8 a, u16 b, u32 handle, u32 id, u32 c1, u32 c2, u32 c3, u32 length1, u32 length2
// A length2 of ABSENT means that there is no second text. Records of one handle come in order.

const { native } = require("./native.js");
const { toConsole } = require("./report.js");
const { errorFrom } = require("./errors.js");

const HEADER = 32;
const ABSENT = 0xffffffff;

/** The kinds of records. */
const Kind = Object.freeze({
  State: 1,
  Result: 2,
  Failure: 3,
  Request: 4,
  Event: 5,
  Gone: 6,
  Ask: 7,
  Unhandled: 8,
  Listening: 9,
  ListenFailed: 10,
  Connection: 11,
  QuickConnect: 12,
  ServerState: 13,
});

// Node, Bun and Deno all have it; toString('utf8', …) costs a few checks more per text.
const { utf8Slice } = Buffer.prototype;
const textOf =
  typeof utf8Slice === "function"
    ? (buffer, from, to) => utf8Slice.call(buffer, from, to)
    : (buffer, from, to) => buffer.toString("utf8", from, to);

/**
 * Who receives what, of everybody over one addon: a test runner may load this module anew for every file, but the addon
 * stays, and the copy that started last gets all its records.
 * @type {{targets: Map, requests: Map, nextRequest: number}}
 *   targets: who receives the records of which handle; requests: who waits for an answer that belongs to no handle
 */
let receivers;

/** Starts the environment's queue at its first use. */
function boundary() {
  const addon = native();
  if (receivers === undefined) {
    addon.receivers ??= { targets: new Map(), requests: new Map(), nextRequest: 1 };
    addon.start(dispatch);
    receivers = addon.receivers;
  }
  return addon;
}

function register(handle, target) {
  receivers.targets.set(handle, target);
}

function unregister(handle) {
  receivers?.targets.delete(handle);
}

/** A number for a request whose answer comes to `target.onAnswer(text)` or `target.onRefusal(record)`. */
function registerRequest(target) {
  boundary();
  const id = receivers.nextRequest;
  receivers.nextRequest = (id + 1) >>> 0 || 1;
  receivers.requests.set(id, target);
  return id;
}

function dropRequest(id) {
  receivers.requests.delete(id);
}

/** @param batch `null` where the addon could not hand one over: it tries again at once */
function dispatch(batch) {
  if (batch === null) return;
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  const end = batch.byteLength;
  let at = 0;
  while (at + HEADER <= end) {
    const text1At = at + HEADER;
    const text2At = text1At + view.getUint32(at + 24, true);
    const length2 = view.getUint32(at + 28, true);
    const next = length2 === ABSENT ? text2At : text2At + length2;
    try {
      deliver(batch, view, at, text1At, text2At, length2 === ABSENT ? -1 : next);
    } catch (error) {
      // Every callback is called through a shim, so this is a fault of ours; it must not cost the records behind it.
      toConsole(error);
    }
    at = next;
  }
}

/** @param text2End where the second text ends, or -1 where there is none */
function deliver(batch, view, at, text1At, text2At, text2End) {
  const kind = view.getUint8(at);
  const handle = view.getUint32(at + 4, true);
  const target = receivers.targets.get(handle);
  const id = view.getUint32(at + 8, true);
  if (target === undefined) {
    if (handle === 0) deliverRequest(kind, id, textOf(batch, text1At, text2At));
    return;
  }
  switch (kind) {
    case Kind.Result:
      target.onResult(id, text2End < 0 ? undefined : textOf(batch, text2At, text2End));
      break;
    case Kind.Request:
      target.onRequest(
        id,
        view.getUint32(at + 12, true),
        view.getUint32(at + 16, true),
        view.getUint32(at + 20, true),
        textOf(batch, text1At, text2At),
        text2End < 0 ? undefined : textOf(batch, text2At, text2End),
      );
      break;
    case Kind.Event:
      target.onEvent(textOf(batch, text1At, text2At), text2End < 0 ? undefined : textOf(batch, text2At, text2End));
      break;
    case Kind.Failure:
      target.onFailure(id, textOf(batch, text1At, text2At));
      break;
    case Kind.State:
      target.onState(
        view.getUint8(at + 1),
        textOf(batch, text1At, text2At),
        text2End < 0 ? undefined : textOf(batch, text2At, text2End),
      );
      break;
    case Kind.Gone:
      unregister(handle);
      target.onGone();
      break;
    case Kind.Ask:
      target.onAsk(id, view.getUint8(at + 1), JSON.parse(textOf(batch, text1At, text2At)));
      break;
    case Kind.Unhandled:
      target.onUnhandled(textOf(batch, text1At, text2At));
      break;
    case Kind.Listening:
      target.onListening(textOf(batch, text1At, text2At));
      break;
    case Kind.ListenFailed:
      target.onListenFailed(textOf(batch, text1At, text2At));
      break;
    case Kind.Connection:
      target.onConnection(id, textOf(batch, text1At, text2At));
      break;
    case Kind.QuickConnect:
      target.onAnswer(id, textOf(batch, text1At, text2At));
      break;
    case Kind.ServerState:
      // The link's own ups and downs show in the peers' states; what is wrong with it comes as Unhandled.
      break;
    default:
      throw new Error(`unknown record kind ${kind} from the addon`);
  }
}

function deliverRequest(kind, id, text) {
  if (kind === Kind.Unhandled) {
    toConsole(errorFrom(JSON.parse(text)));
    return;
  }
  const { requests } = receivers;
  const target = requests.get(id);
  if (target === undefined) return;
  requests.delete(id);
  if (kind === Kind.QuickConnect) target.onAnswer(id, text);
  else if (kind === Kind.Failure) target.onFailure(id, text);
}

module.exports = { boundary, register, unregister, registerRequest, dropRequest };
