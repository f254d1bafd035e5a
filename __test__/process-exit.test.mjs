// process.exit() while the addon's threads are in the middle of something: the code is the program's own, and nothing crashes.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startDaemon } from "./support/peers.mjs";
import { startProgram } from "./support/programs.mjs";
import { startRelay } from "./support/relay.mjs";

const TIMES = 200;
/** So many processes at a time. */
const LANES = 4;
const PLACES = ["call", "flood", "call", "flood", "connecting", "token", "store", "daemon"];

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

test(`process.exit() in the middle of something gives its code, ${TIMES} times`, async (t) => {
  const { account } = await startDaemon(t, relay, {
    onConnection(remote) {
      remote.rpc.handle("echo", (value) => value);
      remote.rpc.handle("never", () => new Promise(() => {}));
    },
  });
  // A daemon that exits has an account of its own: the other one is taken.
  const own = await Promise.all(Array.from({ length: LANES }, () => relay.addDaemon()));
  const file = fileURLToPath(new URL("children/exits.mjs", import.meta.url));
  let next = 0;
  async function lane(number) {
    while (next < TIMES) {
      const WHERE = PLACES[next++ % PLACES.length];
      const { daemonId, apiKey, accessToken } = WHERE === "daemon" ? own[number] : account;
      const { code, signal, errors } = await startProgram([file], {
        env: {
          API_KEY: apiKey,
          API_URL: relay.apiUrl,
          RELAY_URL: relay.relayUrl,
          DAEMON_ID: daemonId,
          ACCESS_TOKEN: accessToken,
          WHERE,
        },
      }).closed;
      assert.deepEqual({ WHERE, code, signal, errors }, { WHERE, code: 7, signal: null, errors: "" });
    }
  }
  await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
});

test("an uncaught exception ends a connected program with code 1", async (t) => {
  const { account } = await startDaemon(t, relay);
  const file = fileURLToPath(new URL("children/connected.mjs", import.meta.url));
  const { code, signal, errors } = await startProgram([file], {
    env: { API_URL: relay.apiUrl, DAEMON_ID: account.daemonId, ACCESS_TOKEN: account.accessToken, WHAT: "throw" },
  }).closed;
  assert.deepEqual({ code, signal }, { code: 1, signal: null });
  assert.match(errors, /nobody catches this/);
});
