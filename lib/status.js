"use strict";
// What a native call says at once about a message that was to be sent.

const { PeerError, PeerErrorCode } = require("./errors.js");

const Status = Object.freeze({ Ok: 0, TooLarge: 1, Overflow: 2, Closed: 3, TooDeep: 4, BadName: 5 });

/**
 * The error a status stands for.
 * @param {string} what the message, as the error names it
 */
function statusError(status, what) {
  switch (status) {
    case Status.TooLarge:
      return new PeerError(PeerErrorCode.MessageTooLarge, `${what}: the message is too large for the wire`);
    case Status.Overflow:
      return new PeerError(PeerErrorCode.BufferOverflow, "the buffer for messages that wait for a connection is full");
    case Status.Closed:
      return new PeerError(PeerErrorCode.PeerClosed, "the peer is closed");
    case Status.TooDeep:
      return new TypeError(`${what} cannot be carried: nested deeper than 128`);
    case Status.BadName:
      return new PeerError(PeerErrorCode.InvalidPattern, "the event name is not valid");
    default:
      return new Error(`unknown status ${status} from the addon`);
  }
}

module.exports = { Status, statusError };
