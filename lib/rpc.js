"use strict";
// `peer.rpc`, as programs see it.

const { FAILED } = require("./rpc-table.js");

/** Names that a promise or an object is asked for behind the program's back; a proxy must not take them for methods. */
const NOT_METHODS = new Set(["then", "catch", "finally"]);

class Rpc {
  #core;
  #client;

  constructor(core) {
    this.#core = core;
  }

  async call(method, params, options) {
    const call = this.#core.rpc.begin(method, params, options, Rpc.prototype.call);
    const value = await call.promise;
    // Made here and not where the answer is read, so that V8 adds the callers that await this function.
    if (value === FAILED) throw call.error();
    return value;
  }

  async tryCall(method, params, options) {
    const wasReady = this.#core.state === "active";
    try {
      return { ok: true, value: await this.call(method, params, options), reconnected: !wasReady };
    } catch (error) {
      return { ok: false, error, reconnected: false };
    }
  }

  handle(method, handler) {
    return this.#core.rpc.handle(method, handler);
  }

  client() {
    return (this.#client ??= typedClient(this));
  }

  listMethods() {
    return this.#core.rpc.methods();
  }
}

/** An object whose every property is a call; one per peer. */
function typedClient(rpc) {
  return new Proxy(Object.freeze({}), {
    get(target, name) {
      if (typeof name === "symbol" || NOT_METHODS.has(name) || name in Object.prototype) return target[name];
      return (params, options) => rpc.call(name, params, options);
    },
  });
}

module.exports = { Rpc };
