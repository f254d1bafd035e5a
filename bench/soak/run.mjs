// `npm run soak [-- --minutes 45 --sessions 200 --seed 1 --only KIND,KIND --relay PATH --directory PATH]`: a relay with a
// data directory, daemons and clients in processes of their own, a bounded load, and chaos. Ends with 1 if anything
// happened that must not.
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { binary } from "../../scripts/relay.mjs";
import { Chaos } from "./chaos.mjs";
import { Fleet } from "./fleet.mjs";
import { Ledger } from "./ledger.mjs";
import { Measures, ofProcess } from "./measures.mjs";
import { random } from "./random.mjs";
import { Relay } from "./relay.mjs";
import { makeReport, print } from "./report.mjs";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "45" },
    sessions: { type: "string", default: "200" },
    daemons: { type: "string", default: "4" },
    clients: { type: "string", default: "4" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    relay: { type: "string", default: binary() },
    directory: { type: "string", default: "" },
  },
});
const [minutes, sessions, daemons, clients, seed] = ["minutes", "sessions", "daemons", "clients", "seed"].map((name) =>
  Number(values[name]),
);
const directory = values.directory || mkdtempSync(path.join(tmpdir(), "sideband-soak-"));
mkdirSync(directory, { recursive: true });

/** From here on the processes whose memory is measured are not restarted. */
const CALM_SHARE = 0.45;
/** Shorter runs are for trying the soak itself: their processes are still warming up. */
const FLATNESS_FROM_MINUTES = 30;
const WARM_UP_MS = 10 * 60_000;

const startedAt = Date.now();
const endsAt = startedAt + minutes * 60_000;
const half = startedAt + (minutes * 60_000) / 2;
const mayRestart = () => Date.now() < startedAt + minutes * 60_000 * CALM_SHARE;

const ledger = new Ledger();
const relay = new Relay({
  binary: values.relay,
  directory,
  onLine: ({ level, message, target }) =>
    ledger.needsExplanation({ at: Date.now(), what: `relay log ${level}`, error: `${target}: ${message}` }),
});
const measures = new Measures(() => ledger.running.length === 0);
const fleet = new Fleet({ relay, ledger, measures });
const dice = random(seed);
const chaos = new Chaos({ fleet, relay, ledger, dice, mayRestart, only: values.only?.split(",") });

/** Waits for a condition, for so long. */
async function until(what, condition, ms) {
  const end = Date.now() + ms;
  while (!(await condition())) {
    if (Date.now() > end) return ledger.violation(`not within ${ms} ms: ${what}`);
    await sleep(250);
  }
}

async function start() {
  await relay.prepare();
  await fleet.prepare({ daemons, clients, sessions });
  await Promise.all(fleet.daemons.map((daemon) => fleet.startDaemon(daemon)));
  await Promise.all(fleet.clients.map((client) => fleet.startClient(client)));
  await until("all sessions active", fleet.allActive, 60_000);
  console.log(`${sessions} sessions are active; logs and results in ${directory}`);
}

async function torment() {
  let lastSample = 0;
  let nextAt = Date.now() + 5_000;
  let acting = false;
  while (Date.now() < endsAt || acting) {
    chaos.watch();
    ledger.judge();
    if (Date.now() - lastSample > 10_000 && relay.pid !== undefined) {
      lastSample = Date.now();
      measures.add("relay", relay.pid, ofProcess(relay.pid));
    }
    if (!acting && Date.now() > nextAt && Date.now() < endsAt - 15_000) {
      acting = true;
      chaos
        .next()
        .catch((error) => ledger.violation(`the soak itself failed: ${error?.stack}`))
        .finally(() => {
          acting = false;
          nextAt = Date.now() + dice.between(2_000, 12_000);
        });
    }
    await sleep(250);
  }
}

/** After the load: nothing is left open, and everything ends by itself. */
async function settle() {
  await chaos.calm();
  const members = [...fleet.daemons, ...fleet.clients];
  for (const { child } of members) child.order("quiet");
  const states = (list) => Promise.all(list.map(({ child }) => child.state()));
  await until("every call has settled", async () => (await states(members)).every(({ unsettled }) => unsettled === 0), 20_000);
  // A daemon keeps what it lost for a minute.
  const held = async () => (await states(fleet.daemons)).reduce((sum, each) => sum + each.sessions, 0);
  await until("the daemons have no session too many", async () => (await held()) === sessions, 75_000);
  const paired = async () => (await relay.admin("GET", "sessions")).length;
  await until("the relay has no session too many", async () => (await paired()) === sessions, 5_000);
  for (const client of fleet.clients) client.ending = true;
  for (const members of [fleet.clients, fleet.daemons]) {
    const codes = await Promise.all(members.map(({ child }) => child.end()));
    if (codes.some((code) => code !== 0)) ledger.violation(`not every process ended by itself: ${codes}`);
  }
  const code = await relay.end("SIGTERM");
  if (code !== 0) ledger.violation(`the relay ended with ${code} on SIGTERM`);
}

try {
  await start();
  await torment();
  await settle();
} catch (error) {
  ledger.violation(`the soak itself failed: ${error?.stack}`);
}
ledger.judge({ all: true });
const flatnessCounts = minutes >= FLATNESS_FROM_MINUTES;
const options = { minutes, sessions, daemons, clients, seed };
const warmUpMs = flatnessCounts ? WARM_UP_MS : 0;
const report = makeReport({ options, startedAt, ledger, fleet, relay, measures, from: half, warmUpMs, flatnessCounts });
writeFileSync(path.join(directory, "report.json"), JSON.stringify({ ...report, samples: measures.samples }, undefined, 1));
print(report);
process.exit(report.violations.length === 0 ? 0 : 1);
