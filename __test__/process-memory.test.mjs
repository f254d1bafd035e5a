// Connections that come and go leave nothing behind, on the client or on the daemon.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { atEnd } from "./support/ending.mjs";
import { startProgram } from "./support/programs.mjs";
import { startRelay } from "./support/relay.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

/** As many again come first: caches fill, code is compiled, allocators find their size. */
const CYCLES = 2_000;
const STEP = 100;
/** An allocator may take until the next of them to find its size; a leak goes on in each. */
const ATTEMPTS = 5;
/** Bytes per cycle; measured are 20 and 100, and with a kilobyte kept per cycle 1,200 and 350 to 800. */
const LIMITS = { heap: 256, rss: 300 };

function start(t, env) {
  const file = fileURLToPath(new URL("children/cycles.mjs", import.meta.url));
  const program = startProgram(["--expose-gc", file], {
    // One arena of glibc's allocator: several, taken by turns, grow for long without any leak.
    env: { API_URL: relay.apiUrl, RELAY_URL: relay.relayUrl, MALLOC_ARENA_MAX: "1", ...env },
  });
  atEnd(t, async () => {
    program.child.kill("SIGKILL");
    await program.closed;
  });
  return program;
}

/**
 * Bytes per cycle from sample to sample: the mean of the middle half. A heap that is resized takes or gives back a megabyte
 * at once, and that is no growth; a leak shows in most samples.
 */
function growth(samples) {
  const steps = samples.slice(1).map((sample, index) => sample - samples[index]);
  const quarter = Math.floor(steps.length / 4);
  const middle = steps.sort((one, other) => one - other).slice(quarter, -quarter);
  return middle.reduce((sum, step) => sum + step, 0) / middle.length / STEP;
}

test(`no growth over ${CYCLES} connect and close cycles`, async (t) => {
  const account = await relay.addDaemon();
  const daemon = start(t, { API_KEY: account.apiKey });
  await daemon.line("listening");
  const client = start(t, { DAEMON_ID: account.daemonId, ACCESS_TOKEN: account.accessToken });
  const sides = { client, daemon };
  let round = 0;
  const run = async (cycles) => {
    const samples = { client: [], daemon: [] };
    for (let done = 0; done < cycles; done += STEP) {
      round += 1;
      for (const [name, program] of Object.entries(sides)) {
        program.say(String(STEP));
        samples[name].push(JSON.parse(await program.line(`sample ${round} `)));
      }
    }
    return samples;
  };
  await run(CYCLES);
  let grown;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    grown = [];
    for (const [name, samples] of Object.entries(await run(CYCLES))) {
      for (const [what, limit] of Object.entries(LIMITS)) {
        const perCycle = growth(samples.map((sample) => sample[what]));
        t.diagnostic(`${name}: ${Math.round(perCycle)} bytes of ${what} per cycle`);
        if (perCycle >= limit) grown.push(`the ${name}'s ${what} grows by ${perCycle} bytes per cycle`);
      }
    }
    if (grown.length === 0) break;
  }
  assert.deepEqual(grown, []);
  assert.equal((await relay.sessions()).length, 0);
  for (const program of Object.values(sides)) {
    program.child.stdin.end();
    const { code, errors } = await program.closed;
    assert.equal(code, 0, errors);
  }
});
