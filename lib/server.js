"use strict";
// A listening daemon: its start, its connections, its end.

const { inspect } = require("node:util");
const { answer } = require("./asks.js");
const { captureCallSite } = require("./callsite.js");
const { ConnectedCore } = require("./connected-peer.js");
const { boundary, register, unregister } = require("./dispatch.js");
const { CloudApiError, errorFrom, PeerError, PeerErrorCode } = require("./errors.js");
const { KeepAlive } = require("./keepalive.js");
const { optionsObject } = require("./options.js");
const { isThenable, report } = require("./report.js");

/** How long a Quick Connect code may live, in seconds. */
const LONGEST_CODE_TTL = 300;

/** The connections by peer id, for reading. */
class ConnectionMap extends Map {
  set() {
    throw new TypeError("connections is read-only");
  }

  delete() {
    throw new TypeError("connections is read-only");
  }

  clear() {
    throw new TypeError("connections is read-only");
  }
}

class ServerCore {
  state = "starting";
  info;
  thrown = new Map();
  connections = new ConnectionMap();
  keepAlive = new KeepAlive();
  #setup;
  #handle = 0;
  /** Every peer whose transport is not gone yet. */
  #peers = new Set();
  /** Peers that came before the program could have its server. */
  #early = [];
  #open = false;
  #codes = new Map();
  #nextCode = 1;
  #start;
  #gone;
  #resolveGone;

  /**
   * @param setup plan, seed, callbacks, onConnection, onUnhandledError, defaultTimeoutMs
   */
  constructor(setup) {
    this.#setup = setup;
    this.reportError = (error) => report(setup.onUnhandledError, error);
    this.#gone = new Promise((resolve) => {
      this.#resolveGone = resolve;
    });
  }

  /** Resolves with the server's data once it listens. */
  start(signal, site) {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.close();
        reject(signal.reason);
      };
      const settled = () => signal?.removeEventListener("abort", onAbort);
      this.#start = {
        resolve: () => {
          settled();
          resolve();
        },
        reject: (error) => {
          settled();
          reject(site.applyTo(error));
        },
      };
      const { plan, seed } = this.#setup;
      this.#handle = boundary().listen(JSON.stringify(plan), seed);
      register(this.#handle, this);
      this.keepAlive.start();
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  onListening(text) {
    if (this.state === "closed") return;
    this.state = "listening";
    this.info = this.#shown(JSON.parse(text));
    this.#start.resolve();
    // The code behind `await listen()` has its turn before the first connection is shown.
    setImmediate(() => {
      this.#open = true;
      for (const core of this.#early.splice(0)) this.#introduce(core);
    });
  }

  /** The relay's URL reads as the program wrote it (no slash at the end, say), unless that has a query: a token, maybe. */
  #shown({ address, relayUrl, ...info }) {
    const { plan } = this.#setup;
    const given = plan.relayUrl ?? plan.endpoint;
    const { href } = new URL(given);
    const asGiven = (url) => (url === href ? given : url);
    return { ...info, address: asGiven(address), relayUrl: asGiven(relayUrl) };
  }

  onListenFailed(text) {
    const error = errorFrom(JSON.parse(text), this.thrown);
    // A server that listened already fails only by a fault of the addon.
    if (this.state === "listening") this.reportError(error);
    else if (this.state !== "closed") this.#start.reject(error);
    this.onGone();
  }

  onConnection(handle, peerId) {
    if (this.state === "closed") return;
    const core = new ConnectedCore({
      peerId,
      onUnhandledError: this.#setup.onUnhandledError,
      defaultTimeoutMs: this.#setup.defaultTimeoutMs,
      onLeft: () => {
        if (this.connections.get(peerId) === core.face) Map.prototype.delete.call(this.connections, peerId);
      },
    });
    core.attach(handle);
    this.#peers.add(core);
    void core.gone.then(() => this.#peers.delete(core));
    Map.prototype.set.call(this.connections, peerId, core.face);
    if (this.#open) this.#introduce(core);
    else this.#early.push(core);
  }

  /** Calls `onConnection`. */
  #introduce(core) {
    if (core.state === "closed") return;
    const failed = (error) => {
      void core.close();
      this.reportError(error);
    };
    try {
      const result = this.#setup.onConnection(core.face);
      if (isThenable(result)) Promise.resolve(result).then(() => core.releaseHeld(), failed);
      else core.releaseHeld();
    } catch (error) {
      failed(error);
    }
  }

  onUnhandled(text) {
    if (this.state !== "closed") this.reportError(errorFrom(JSON.parse(text), this.thrown));
    this.thrown.clear();
  }

  onAsk(id, question, argument) {
    if (this.state !== "closed") void answer(this, id, question, argument, this.#setup.callbacks);
  }

  createQuickConnect(options, above) {
    const site = captureCallSite(above, this.#codes.size);
    const ttlSeconds = codeLifetime(options);
    if (this.state === "closed") throw new PeerError(PeerErrorCode.PeerClosed, "the server is closed");
    return new Promise((resolve, reject) => {
      const id = this.#nextCode;
      this.#nextCode = (this.#nextCode + 1) >>> 0 || 1;
      this.#codes.set(id, { resolve, reject: (error) => reject(site === undefined ? error : site.applyTo(error)) });
      boundary().createQuickConnect(this.#handle, id, ttlSeconds);
    });
  }

  onAnswer(id, text) {
    this.#takeCode(id)?.resolve(JSON.parse(text));
  }

  onFailure(id, text) {
    this.#takeCode(id)?.reject(errorFrom(JSON.parse(text)));
  }

  #takeCode(id) {
    const waiting = this.#codes.get(id);
    this.#codes.delete(id);
    return waiting;
  }

  close() {
    const { state } = this;
    this.#shut();
    // A start that failed is not running any more, but its handle lives until its transport is gone.
    if (state === "starting" || state === "listening") boundary().closeServer(this.#handle);
    return this.#gone;
  }

  #shut() {
    this.state = "closed";
    this.thrown.clear();
    for (const core of this.#peers) core.end(undefined);
    for (const waiting of this.#codes.values()) {
      waiting.reject(new PeerError(PeerErrorCode.PeerClosed, "the server closed"));
    }
    this.#codes.clear();
  }

  onGone() {
    unregister(this.#handle);
    this.#shut();
    for (const core of this.#peers) core.abandon();
    this.keepAlive.stop();
    this.#resolveGone();
  }
}

/** What the API would answer, without asking it. */
function codeLifetime(options = {}) {
  const { ttlSeconds } = optionsObject(options, "createQuickConnect");
  if (ttlSeconds === undefined) return undefined;
  if (typeof ttlSeconds !== "number") throw new TypeError("ttlSeconds must be a number");
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > LONGEST_CODE_TTL) {
    throw new CloudApiError(400, `ttlSeconds must be an integer from 1 to ${LONGEST_CODE_TTL}`);
  }
  return ttlSeconds;
}

/** What `listen()` of `./peer/server` gives. */
class PeerServer {
  #core;

  constructor(core) {
    this.#core = core;
  }

  get address() {
    return this.#core.info.address;
  }

  get connections() {
    return this.#core.connections;
  }

  close() {
    return this.#core.close();
  }

  ref() {
    this.#core.keepAlive.ref();
    return this;
  }

  unref() {
    this.#core.keepAlive.unref();
    return this;
  }

  async [Symbol.asyncDispose]() {
    await this.close();
  }

  [inspect.custom](depth, options) {
    const name = this.constructor.name;
    if (depth < 0) return `[${name}]`;
    const shown = { address: this.address, connections: this.connections.size, closed: this.#core.state === "closed" };
    return `${name} ${inspect(shown, options)}`;
  }
}

/** What `listen()` of the package gives. */
class CloudServer extends PeerServer {
  #core;

  constructor(core) {
    super(core);
    this.#core = core;
  }

  get daemonId() {
    return this.#core.info.daemonId;
  }

  get relayUrl() {
    return this.#core.info.relayUrl;
  }

  async createQuickConnect(options) {
    return this.#core.createQuickConnect(options, CloudServer.prototype.createQuickConnect);
  }
}

module.exports = { ServerCore, PeerServer, CloudServer };
