"use strict";
// The daemon's side of one client: it comes connected and never reconnects.

const { BasePeer } = require("./base-peer.js");
const { PeerCore } = require("./core.js");
const { boundary } = require("./dispatch.js");
const { PeerError, PeerErrorCode } = require("./errors.js");
const { HoldQueue } = require("./hold.js");

class ConnectedCore extends PeerCore {
  #onLeft;

  /** @param onLeft told when the peer is closed */
  constructor({ peerId, onLeft, ...setup }) {
    super({ ...setup, state: "active" });
    this.peerId = peerId;
    this.hold = new HoldQueue((limit) => this.#overflow(limit));
    this.face = new ConnectedPeer(this);
    this.#onLeft = onLeft;
  }

  onMoved(state) {
    if (state === "closed") this.#onLeft(this);
  }

  /** A client that leaves is no error; what ends its session otherwise (a forged frame, say) is told like any other. */
  onEnded(error) {
    super.onEnded(error);
    this.reportError(error);
  }

  /** Its client sends more than waits for `onConnection`: the session ends, told once here and to the client by the addon. */
  #overflow(limit) {
    const why = `the peer was closed: more than ${limit} messages waited for onConnection`;
    const error = new PeerError(PeerErrorCode.BufferOverflow, why);
    this.end(error);
    boundary().giveUpPeer(this.handle);
  }

  /** `onConnection` is done: what waited for it goes its way, and nothing waits any more. */
  releaseHeld() {
    const { hold } = this;
    this.hold = null;
    hold?.release();
  }
}

class ConnectedPeer extends BasePeer {}

module.exports = { ConnectedCore, ConnectedPeer };
