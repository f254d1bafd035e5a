"use strict";
// Presence tokens of the cloud: getting one, and reading whose it is.

const { captureCallSite } = require("./callsite.js");
const { API_URL } = require("./cloud.js");
const { boundary, registerRequest, dropRequest } = require("./dispatch.js");
const { CloudApiError, errorFrom } = require("./errors.js");
const { KeepAlive } = require("./keepalive.js");
const { native } = require("./native.js");
const { optionalSignal, optionalUrl, requiredKey } = require("./options.js");

/** A fresh presence token for the daemon whose API key this is. One attempt; nothing is retried. */
async function renewPresenceToken(apiKey, apiUrl, signal) {
  requiredKey(apiKey, "apiKey");
  const url = optionalUrl(apiUrl, "apiUrl", "https:", "http:") ?? API_URL;
  const abort = optionalSignal(signal, "signal");
  if (abort?.aborted) throw abort.reason;
  const site = captureCallSite(renewPresenceToken, 0);
  return new Promise((resolve, reject) => {
    const keepAlive = new KeepAlive();
    const settled = () => {
      keepAlive.stop();
      abort?.removeEventListener("abort", onAbort);
    };
    const id = registerRequest({
      onAnswer(_id, text) {
        settled();
        resolve(JSON.parse(text).presenceToken);
      },
      onFailure(_id, text) {
        settled();
        reject(site.applyTo(errorFrom(JSON.parse(text))));
      },
    });
    const onAbort = () => {
      settled();
      dropRequest(id);
      reject(abort.reason);
    };
    abort?.addEventListener("abort", onAbort, { once: true });
    keepAlive.start();
    boundary().renewPresenceToken(id, url, apiKey);
  });
}

/** The daemon id in a presence token (its `did`). Nothing is verified: the relay does that. */
function extractDaemonIdFromToken(token) {
  const daemonId = typeof token === "string" ? native().daemonIdFromToken(token) : null;
  if (typeof daemonId !== "string" || daemonId === "") {
    throw new CloudApiError(400, "the presence token names no daemon");
  }
  return daemonId;
}

module.exports = { renewPresenceToken, extractDaemonIdFromToken };
