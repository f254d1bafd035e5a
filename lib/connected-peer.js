"use strict";
// The daemon's side of one client: it comes connected and never reconnects.

const { BasePeer } = require("./base-peer.js");
const { PeerCore } = require("./core.js");
const { HoldQueue } = require("./hold.js");

class ConnectedCore extends PeerCore {
  #onLeft;

  /** @param onLeft told when the peer is closed */
  constructor({ peerId, onLeft, ...setup }) {
    super({ ...setup, state: "active" });
    this.peerId = peerId;
    this.hold = new HoldQueue();
    this.face = new ConnectedPeer(this);
    this.#onLeft = onLeft;
  }

  onMoved(state) {
    if (state === "closed") this.#onLeft(this);
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
