// Waiting for conditions, never for times.
import { setImmediate as turn } from "node:timers/promises";

/** A promise and its handles. */
export function deferred() {
  let resolve;
  let reject;
  const promise = new Promise((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** Resolves when the peer is in the state, at once when it is. */
export function reached(peer, state) {
  if (peer.state === state) return Promise.resolve();
  return new Promise((resolve) => {
    const off = peer.on("stateChange", (change) => {
      if (change.state !== state) return;
      off();
      resolve();
    });
  });
}

/** Resolves with the first truthy value of `condition`, asked once per turn of the event loop. */
export async function until(condition) {
  for (;;) {
    const value = await condition();
    if (value) return value;
    await turn();
  }
}

/** Resolves with `list` once it has so many entries. */
export async function collected(list, length) {
  await until(() => list.length >= length);
  return list;
}
