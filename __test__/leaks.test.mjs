// 2,000 connections that came and went leave nothing behind, on the client or on the daemon.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startProgram } from "./support/programs.mjs";
import { startRelay } from "./support/relay.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

/** What garbage collection and allocators leave undecided; 2,000 connections kept would be far more. */
const HEAP_SLACK = 2 << 20;
const RSS_SLACK = 16 << 20;

test("no growth over 2,000 connect and close cycles", async () => {
  const account = await relay.addDaemon();
  const program = startProgram(["--expose-gc", fileURLToPath(new URL("children/cycles.mjs", import.meta.url))], {
    env: {
      API_KEY: account.apiKey,
      API_URL: relay.apiUrl,
      RELAY_URL: relay.relayUrl,
      DAEMON_ID: account.daemonId,
      ACCESS_TOKEN: account.accessToken,
    },
  });
  const { code, lines, errors } = await program.closed;
  assert.equal(code, 0, errors);
  const { heap, rss } = JSON.parse(lines.at(-1));
  assert.ok(heap < HEAP_SLACK, `the heap grew by ${heap} bytes`);
  assert.ok(rss < RSS_SLACK, `the process grew by ${rss} bytes`);
  assert.equal((await relay.sessions()).length, 0);
});
