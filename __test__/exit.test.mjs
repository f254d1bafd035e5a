// What keeps a process alive and what does not; proven by processes.
import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { atEnd } from "./support/ending.mjs";
import { startClient, startDaemon } from "./support/peers.mjs";
import { makeProject } from "./support/programs.mjs";
import { startRelay } from "./support/relay.mjs";

/** Gone by itself within this time after the last thing closed. */
const SOON_MS = 1_000;

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

function start(t, name, env) {
  const project = makeProject(t);
  fs.cpSync(fileURLToPath(new URL(`children/${name}`, import.meta.url)), `${project.folder}/${name}`);
  const program = project.start(name, { env: { API_URL: relay.apiUrl, RELAY_URL: relay.relayUrl, ...env } });
  atEnd(t, async () => {
    program.child.kill("SIGKILL");
    await program.closed;
  });
  return program;
}

const clientEnv = (account, what) => ({
  DAEMON_ID: account.daemonId,
  ACCESS_TOKEN: account.accessToken,
  WHAT: what,
});

/** The program ended by itself, soon after it had closed what it had. */
async function endedSoon(program) {
  const { code, lines, errors } = await program.closed;
  assert.equal(code, 0, errors);
  const lived = Number(lines.find((line) => line.startsWith("lived ")).slice(6));
  assert.ok(lived < SOON_MS, `ended ${lived} ms after its close`);
}

test("a listening daemon stays, and is gone soon after close()", async (t) => {
  const account = await relay.addDaemon();
  const program = start(t, "listening.mjs", { API_KEY: account.apiKey });
  await program.line("listening");
  const peer = startClient(t, relay, account, { retryPolicy: { mode: "never" }, onUnhandledError() {} });
  assert.equal(await peer.rpc.call("ping"), "pong");
  peer.events.emit("close");
  await endedSoon(program);
});

test("unref() lets a listening daemon end, ref() takes that back", async (t) => {
  const account = await relay.addDaemon();
  const ended = await start(t, "listening.mjs", { API_KEY: account.apiKey, UNREF: "server" }).closed;
  assert.equal(ended.code, 0, ended.errors);
  const program = start(t, "listening.mjs", { API_KEY: account.apiKey, UNREF: "again" });
  await program.line("listening");
  const peer = startClient(t, relay, account, { retryPolicy: { mode: "never" }, onUnhandledError() {} });
  assert.equal(await peer.rpc.call("ping"), "pong");
  peer.events.emit("close");
  await endedSoon(program);
});

test("a daemon that cannot start yet stays, until it is aborted", async (t) => {
  const project = makeProject(t);
  project.write(
    "waiting.mjs",
    `import { generateIdentityKeyPair, listen } from "@sideband/cloud";
const controller = new AbortController();
process.stdin.once("data", () => (controller.abort(), process.stdin.destroy())).unref();
console.log("starting");
try {
  const { signal } = controller;
  const apiUrl = "http://127.0.0.1:9";
  await listen({ apiKey: "k", apiUrl, identityKeyPair: generateIdentityKeyPair(), onConnection() {}, signal });
} catch (error) {
  console.log(error.name);
}
`,
  );
  const program = project.start("waiting.mjs");
  await program.line("starting");
  program.say("abort");
  const { code, lines, errors } = await program.closed;
  assert.equal(code, 0, errors);
  assert.deepEqual(lines, ["starting", "AbortError"]);
});

test("a connected client stays, and is gone soon after disconnect()", async (t) => {
  const { account } = await startDaemon(t, relay, {
    onConnection: (remote) => remote.events.on("close", () => remote.events.emit("close")),
  });
  const staying = start(t, "connected.mjs", clientEnv(account, "stay"));
  await staying.line("connected");
  await endedSoon(start(t, "connected.mjs", clientEnv(account, "disconnect")));
  assert.ok(staying.running);
});

test("a client whose daemon is not there stays, waiting for it", async (t) => {
  const account = await relay.addDaemon();
  const program = start(t, "connected.mjs", clientEnv(account, "connecting"));
  await program.line("reconnecting");
  assert.ok(program.running);
});

test("unref() lets a connected client end", async (t) => {
  const { account } = await startDaemon(t, relay);
  const { code, errors } = await start(t, "connected.mjs", clientEnv(account, "unref")).closed;
  assert.equal(code, 0, errors);
});

test("an idle peer, and what is only loaded, keeps nothing alive", async (t) => {
  const project = makeProject(t);
  project.write(
    "idle.mjs",
    `import { generateIdentityKeyPair } from "@sideband/cloud";
import { createPeer } from "@sideband/cloud/peer";
generateIdentityKeyPair();
createPeer({ endpoint: "ws://127.0.0.1:9" });
console.log("done");
`,
  );
  const { code, lines, errors } = await project.start("idle.mjs").closed;
  assert.equal(code, 0, errors);
  assert.deepEqual(lines, ["done"]);
});

test("process.exit() in the middle of a call gives its code, 200 times", async (t) => {
  const { account } = await startDaemon(t, relay, {
    onConnection(remote) {
      remote.rpc.handle("ping", () => "pong");
      remote.rpc.handle("never", () => new Promise(() => {}));
    },
  });
  const project = makeProject(t);
  fs.cpSync(fileURLToPath(new URL("children/connected.mjs", import.meta.url)), `${project.folder}/connected.mjs`);
  const env = { API_URL: relay.apiUrl, ...clientEnv(account, "exit") };
  let left = 200;
  async function lane() {
    while (left-- > 0) {
      const { code, signal, errors } = await project.start("connected.mjs", { env }).closed;
      assert.deepEqual({ code, signal }, { code: 7, signal: null }, errors);
    }
  }
  await Promise.all([lane(), lane(), lane(), lane()]);
});
