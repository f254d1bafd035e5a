// `npm run bench`: measures this package against a bare WebSocket echo in the same run, and prints one table.
//
// Client, relay and daemon are three processes on loopback; the yardstick is three processes too: a Node `ws` client, a
// Node `ws` forwarder and a Node `ws` echo, which neither encrypt nor parse. Every figure is the median of the rounds.
// `processes/` holds what runs in the children; `BENCH_ROUNDS` and `BENCH_SECONDS` make a run shorter or longer.
import { startProcess, startRelay } from "./start.mjs";
import { formatTable, median } from "./table.mjs";

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 3);
const IDLE_SESSIONS = 500;

const relay = await startRelay();
const daemon = await startProcess("daemon", relay.info);
const client = await startProcess("client", relay.info);
const echo = await startProcess("ws-echo");
const forwarder = await startProcess("ws-forward", { target: echo.ready.url });
const wsClient = await startProcess("ws-client", { target: forwarder.ready.url });

/** One round: every figure once, ours and the yardstick's side by side so that both see the same machine. */
async function measure() {
  const figures = {};
  figures.yardstick64 = (await wsClient.ask("echoes", { inFlight: 64, seconds: SECONDS })).perSecond;
  const before = await daemon.ask("usage");
  const busy = await client.ask("calls", { inFlight: 64, seconds: SECONDS });
  const after = await daemon.ask("usage");
  figures.calls64 = busy.perSecond;
  figures.cpuPer100k = ((after.cpuMs - before.cpuMs) / busy.count) * 100_000;

  const loneEcho = await wsClient.ask("echoes", { inFlight: 1, seconds: SECONDS });
  const lone = await client.ask("calls", { inFlight: 1, seconds: SECONDS });
  figures.yardstickP50 = loneEcho.p50;
  figures.yardstickP99 = loneEcho.p99;
  figures.calls1 = lone.perSecond;
  figures.p50 = lone.p50;
  figures.p99 = lone.p99;

  figures.megabytes = (await client.ask("payloads", { bytes: 60_000, inFlight: 16, seconds: SECONDS })).megabytesPerSecond;

  const cpuBefore = await daemon.ask("usage");
  const connects = await client.ask("connects", { atOnce: 16, seconds: SECONDS });
  const cpuAfter = await daemon.ask("usage");
  figures.connects = connects.perSecond;
  figures.cpuPerHandshake = (cpuAfter.cpuMs - cpuBefore.cpuMs) / connects.count;
  return figures;
}

/** What an idle session costs each side, once: processes that have held 500 do not give the memory back for a second look. */
async function idleSessions() {
  const holder = await startProcess("client", relay.info);
  const [daemonBefore, holderBefore] = [await daemon.ask("usage"), await holder.ask("usage")];
  await holder.ask("hold", { sessions: IDLE_SESSIONS });
  const [daemonAfter, holderAfter] = [await daemon.ask("usage"), await holder.ask("usage")];
  await holder.stop();
  const perSession = (after, before) => (after.rss - before.rss) / IDLE_SESSIONS / 1024;
  return { daemon: perSession(daemonAfter, daemonBefore), client: perSession(holderAfter, holderBefore) };
}

try {
  const memory = await idleSessions();
  await client.ask("calls", { inFlight: 64, seconds: 1 });
  await wsClient.ask("echoes", { inFlight: 64, seconds: 1 });
  const rounds = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    process.stderr.write(`round ${round} of ${ROUNDS}\n`);
    rounds.push(await measure());
  }
  const of = (name) => median(rounds.map((round) => round[name]));
  const ratio = (ours, theirs) => `${(of(ours) / of(theirs)).toFixed(2)}×`;
  const count = (name) => Math.round(of(name)).toLocaleString("en-US");
  console.log(
    formatTable(
      ["figure", "this package", "bare ws echo", "ratio", "goal"],
      [
        ["calls/s, 64 in flight", count("calls64"), count("yardstick64"), ratio("calls64", "yardstick64"), "≥ 0.5×"],
        ["calls/s, 1 in flight", count("calls1"), "", "", ""],
        ["lone call, p50 (µs)", count("p50"), count("yardstickP50"), ratio("p50", "yardstickP50"), "≤ 2×"],
        ["lone call, p99 (µs)", count("p99"), count("yardstickP99"), ratio("p99", "yardstickP99"), ""],
        ["60 KB payloads, echoed (MB/s each way)", of("megabytes").toFixed(0), "", "", ""],
        ["connects/s, 16 at once", count("connects"), "", "", ""],
        ["daemon CPU per handshake (ms)", of("cpuPerHandshake").toFixed(3), "", "", "≤ 0.3"],
        ["daemon CPU per 100,000 calls (ms)", count("cpuPer100k"), "", "", ""],
        [`memory per idle session at ${IDLE_SESSIONS}, daemon (KB)`, memory.daemon.toFixed(1), "", "", ""],
        [`memory per idle session at ${IDLE_SESSIONS}, client (KB)`, memory.client.toFixed(1), "", "", ""],
      ],
    ),
  );
  console.log(`Node ${process.versions.node}, ${process.platform} ${process.arch}; medians of ${ROUNDS} rounds of ${SECONDS} s.`);
} finally {
  await Promise.all([client, daemon, wsClient, forwarder, echo, relay].map((started) => started.stop()));
}
