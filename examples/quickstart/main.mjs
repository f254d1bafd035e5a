// `npm start`: a relay, a daemon and a client, three processes on this machine. The two talk through the relay, which sees
// frames and bytes but no text; then the daemon's connection is cut, and the conversation goes on.
import { fork } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { startRelay } from "../../scripts/relay.mjs";

/** Far more than every step needs. */
const DEADLINE_MS = 60_000;

let step = "start";
/** What runs, to be ended whatever happens. */
const running = [];

function say(who, text) {
  console.log(`${who.padEnd(7)}│ ${text}`);
}

function begin(name) {
  step = name;
  console.log(`\n▸ ${name}`);
}

/** A program of this folder, its output in view. */
function startProgram(name, env) {
  const file = fileURLToPath(new URL(`./${name}.mjs`, import.meta.url));
  const child = fork(file, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe", "ipc"] });
  running.push(() => child.kill());
  createInterface({ input: child.stdout }).on("line", (line) => say(name, line));
  createInterface({ input: child.stderr }).on("line", (line) => say(name, line));
  const exited = once(child, "exit");
  const failed = exited.then(([code, signal]) => {
    throw new Error(`the ${name} ended with ${code ?? signal}`);
  });
  // Ending is a failure only while something is expected of the program.
  failed.catch(() => {});
  return {
    message: async () => (await Promise.race([once(child, "message"), failed]))[0],
    send: (message) => child.send(message),
    async ended() {
      const [code, signal] = await exited;
      if (code !== 0) throw new Error(`the ${name} ended with ${code ?? signal}`);
    },
  };
}

async function quickstart() {
  begin("Starting a relay");
  const relay = await startRelay();
  running.push(relay.stop);
  say("relay", `listens on ${relay.relayUrl}`);

  begin("Starting a daemon");
  const { apiUrl: API_URL, relayUrl: RELAY_URL } = relay;
  const daemon = startProgram("daemon", { API_URL, RELAY_URL, API_KEY: relay.apiKey });
  const { listening } = await daemon.message();

  begin("Starting a client: calls in both directions, an event");
  const client = startProgram("client", { API_URL, ACCESS_TOKEN: relay.accessToken, DAEMON_ID: listening });
  await client.message();

  begin("What the relay saw");
  for (const session of await relay.admin("GET", "sessions")) {
    say("relay", `to the daemon ${session.framesToDaemon} frames, ${session.bytesToDaemon} bytes`);
    say("relay", `to the client ${session.framesToClient} frames, ${session.bytesToClient} bytes`);
  }
  say("relay", "no text: it has no keys");

  begin("Cutting the daemon's connection at the relay");
  await relay.admin("POST", `daemons/${encodeURIComponent(listening)}/disconnect`);
  client.send("cut");
  await client.ended();

  begin("Closing");
  daemon.send("close");
  await daemon.ended();
  await relay.stop();
  say("relay", "stopped");
}

const deadline = setTimeout(() => fail(new Error(`nothing happened for ${DEADLINE_MS / 1000} s`)), DEADLINE_MS);
try {
  await quickstart();
  clearTimeout(deadline);
  console.log("\n✓ All of it was end-to-end encrypted. The programs are in examples/quickstart.");
} catch (error) {
  fail(error);
}

function fail(error) {
  console.error(`\n✗ Failed at the step "${step}": ${error.message}`);
  for (const end of running) void end();
  process.exit(1);
}
