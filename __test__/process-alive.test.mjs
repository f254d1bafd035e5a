// What keeps a process alive and what does not: a listening server and a connecting or connected peer do, as sockets would,
// and after close() and disconnect() nothing does. Proven by processes.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createPeer } from "@sideband/cloud/peer";
import { atEnd } from "./support/ending.mjs";
import { startClient, startDaemon } from "./support/peers.mjs";
import { startProgram } from "./support/programs.mjs";
import { startRelay } from "./support/relay.mjs";
import { deferred, reached } from "./support/wait.mjs";

/** Gone by itself within this time after it began to close the last thing. */
const SOON_MS = 1_000;

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

/** A program of children/, or one given as text. */
function start(t, what, env) {
  const file = fileURLToPath(new URL(`children/${what}`, import.meta.url));
  const args = what.endsWith(".mjs") ? [file] : ["--input-type=module", "-e", what];
  const program = startProgram(args, { env: { API_URL: relay.apiUrl, RELAY_URL: relay.relayUrl, ...env } });
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

/** The program ends by itself, soon after it began to close what it had. */
async function endsSoon(program) {
  const { code, lines, errors } = await program.closed;
  assert.equal(code, 0, errors);
  const lived = Number(lines.find((line) => line.startsWith("lived ")).slice(6));
  assert.ok(lived < SOON_MS, `it ended ${lived} ms after it began to close`);
}

/** A client that goes with its daemon. */
const mortal = { retryPolicy: { mode: "never" }, onUnhandledError() {} };

for (const [what, env] of [
  ["stays", {}],
  ["that was unref()ed and ref()ed stays", { UNREF: "again" }],
]) {
  test(`a listening daemon ${what}, and is gone soon after close()`, async (t) => {
    const account = await relay.addDaemon();
    const program = start(t, "listening.mjs", { API_KEY: account.apiKey, ...env });
    await program.line("listening");
    const peer = startClient(t, relay, account, mortal);
    assert.equal(await peer.rpc.call("ping"), "pong");
    peer.events.emit("close");
    await endsSoon(program);
  });
}

test("unref() lets a listening daemon end", async (t) => {
  const account = await relay.addDaemon();
  await endsSoon(start(t, "listening.mjs", { API_KEY: account.apiKey, UNREF: "server" }));
});

test("a server on a port of its own stays, and is gone soon after close(); unref() lets it end", async (t) => {
  const program = start(t, "listening.mjs", { WHAT: "direct" });
  const endpoint = await program.line("listening ");
  await endsSoon(start(t, "listening.mjs", { WHAT: "direct", UNREF: "server" }));
  const peer = createPeer({ endpoint, onUnhandledError() {} });
  atEnd(t, () => peer.disconnect());
  await peer.connect();
  assert.equal(await peer.rpc.call("ping"), "pong");
  peer.events.emit("close");
  await endsSoon(program);
});

test("a daemon that cannot start yet stays, until it is aborted", async (t) => {
  const program = start(
    t,
    `import { generateIdentityKeyPair, listen } from "@sideband/cloud";
const controller = new AbortController();
process.stdin.once("data", () => (controller.abort(), process.stdin.destroy())).unref();
console.log("starting");
try {
  const { signal } = controller;
  const apiUrl = "http://127.0.0.1:9";
  await listen({ apiKey: "k", apiUrl, identityKeyPair: generateIdentityKeyPair(), onConnection() {}, signal,
    onUnhandledError: () => console.log("failed") });
} catch (error) {
  console.log(error.name);
}`,
  );
  await program.line("failed");
  program.say("abort");
  const { code, lines, errors } = await program.closed;
  assert.equal(code, 0, errors);
  assert.equal(lines.at(-1), "AbortError");
});

test("a connected client stays while others come and go, and is gone soon after disconnect()", async (t) => {
  const { server, account } = await startDaemon(t, relay);
  const staying = start(t, "connected.mjs", clientEnv(account, "stay"));
  const again = start(t, "connected.mjs", clientEnv(account, "ref"));
  await Promise.all([staying.line("connected"), again.line("connected")]);
  for (const what of ["disconnect", "disconnect-unawaited", "dispose"]) {
    await endsSoon(start(t, "connected.mjs", clientEnv(account, what)));
  }
  assert.ok(staying.running && again.running);
  assert.equal(server.connections.size, 2);
});

test("a disconnect() that nobody awaits reaches the daemon before the process ends", async (t) => {
  const arrived = deferred();
  const { account } = await startDaemon(t, relay, { onConnection: arrived.resolve });
  const program = start(t, "connected.mjs", clientEnv(account, "disconnect-unawaited"));
  const remote = await arrived.promise;
  await reached(remote, "closed");
  await endsSoon(program);
});

test("a client whose daemon is not there stays, waiting for it", async (t) => {
  const account = await relay.addDaemon();
  const program = start(t, "connected.mjs", clientEnv(account, "wait"));
  await program.line("reconnecting");
  assert.ok(program.running);
  const { server } = await startDaemon(t, relay, { account });
  assert.ok(server);
  await program.child.kill("SIGTERM");
  assert.equal((await program.closed).signal, "SIGTERM", "and it can be ended from outside");
});

test("a client that is refused for good closes, and its process ends", async (t) => {
  const account = await relay.addDaemon();
  const program = start(t, "connected.mjs", { ...clientEnv(account, "refused"), ACCESS_TOKEN: "wrong" });
  await endsSoon(program);
  assert.deepEqual(program.lines.slice(0, 2), ["closed", "error CloudApiError"]);
});

test("unref() lets a connected client end", async (t) => {
  const { account } = await startDaemon(t, relay);
  await endsSoon(start(t, "connected.mjs", clientEnv(account, "unref")));
});

test("an idle peer, and what is only loaded, keeps nothing alive", async (t) => {
  const program = start(
    t,
    `import { generateIdentityKeyPair } from "@sideband/cloud";
import { createPeer } from "@sideband/cloud/peer";
generateIdentityKeyPair();
createPeer({ endpoint: "ws://127.0.0.1:9" }).rpc.call("waits").catch(() => {});
console.log("done");`,
  );
  const { code, lines, errors } = await program.closed;
  assert.equal(code, 0, errors);
  assert.deepEqual(lines, ["done"]);
});

test("a request to the control plane keeps the process until it is answered", async (t) => {
  const account = await relay.addDaemon();
  const program = start(
    t,
    `import { renewPresenceToken } from "@sideband/cloud";
console.log(typeof (await renewPresenceToken("${account.apiKey}", process.env.API_URL)));`,
  );
  const { code, lines, errors } = await program.closed;
  assert.equal(code, 0, errors);
  assert.deepEqual(lines, ["string"]);
});
