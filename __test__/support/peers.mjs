// Daemons and clients of a test, closed when it ends.
import { connect, createMemoryIdentityKeyStore, generateIdentityKeyPair, listen } from "@sideband/cloud";
import { atEnd } from "./ending.mjs";
import { deferred } from "./wait.mjs";

/** A retry policy for tests that wait for a reconnect. */
export const QUICK_RETRY = { mode: "on-error", initialDelayMs: 10, maxDelayMs: 50, maxAttempts: 0, jitter: 0 };

/** Fails the test that an unexpected background error belongs to, by an unhandled rejection. */
function unexpected(error) {
  queueMicrotask(() => {
    throw error;
  });
}

/** A daemon on the relay; `account` says which one, its own by default. */
export async function startDaemon(t, relay, options = {}) {
  const { account = await relay.addDaemon(), ...rest } = options;
  const server = await listen({
    apiKey: account.apiKey,
    apiUrl: relay.apiUrl,
    relayUrl: relay.relayUrl,
    identityKeyPair: generateIdentityKeyPair(),
    onConnection() {},
    onUnhandledError: unexpected,
    ...rest,
  });
  atEnd(t, () => server.close());
  return { server, account };
}

/** A client of the daemon that `account` names. */
export function startClient(t, relay, account, options = {}) {
  const peer = connect({
    daemonId: account.daemonId,
    getAccessToken: () => account.accessToken,
    apiUrl: relay.apiUrl,
    identityKeyStore: createMemoryIdentityKeyStore(),
    onUnhandledError: unexpected,
    retryPolicy: QUICK_RETRY,
    ...options,
  });
  atEnd(t, () => peer.disconnect());
  return peer;
}

/**
 * A daemon and a client that are connected: `peer` is the client's side, `remote` the daemon's.
 * @param {{daemon?: object, client?: object, onConnection?: (remote: object) => unknown}} [options]
 */
export async function startPair(t, relay, { daemon = {}, client = {}, onConnection } = {}) {
  const arrived = deferred();
  const { server, account } = await startDaemon(t, relay, {
    onConnection(remote) {
      arrived.resolve(remote);
      return onConnection?.(remote);
    },
    ...daemon,
  });
  const peer = startClient(t, relay, account, client);
  await peer.whenReady();
  return { server, account, peer, remote: await arrived.promise };
}
