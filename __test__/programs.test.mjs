// The programs of the contract (api.md, section 7), to the letter, as child processes: no URL of a test is in them.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { computeFingerprint } from "@sideband/cloud/secure-relay";
import { startCloud } from "./support/cloud.mjs";
import { atEnd } from "./support/ending.mjs";
import { startClient, startDaemon } from "./support/peers.mjs";
import { makeProject } from "./support/programs.mjs";
import { startRelay } from "./support/relay.mjs";
import { createPresence, createSession } from "./support/sessions.mjs";

const programs = fileURLToPath(new URL("programs/", import.meta.url));

let relay;
let cloud;
before(async () => {
  relay = await startRelay();
  cloud = await startCloud(relay);
});
after(async () => {
  await cloud.stop();
  await relay.stop();
});

/** A project with every program in it. */
function makePrograms(t) {
  const project = makeProject(t);
  fs.cpSync(programs, project.folder, { recursive: true });
  return project;
}

/** Starts the daemon program; ended with the test, or by `stop()`. */
function startProgramDaemon(t, project, account) {
  const program = project.start("daemon.mjs", { env: { ...cloud.env, SIDEBAND_API_KEY: account.apiKey } });
  const stop = async () => {
    program.child.kill("SIGKILL");
    await program.closed;
  };
  atEnd(t, stop);
  return { program, stop };
}

function clientEnv(account) {
  return { ...cloud.env, SIDEBAND_DAEMON_ID: account.daemonId, ACCESS_TOKEN: account.accessToken };
}

/** Runs a program to its end and gives its lines; it must end by itself and well. */
async function run(project, name, options) {
  const { code, lines, errors } = await project.start(name, options).closed;
  assert.equal(code, 0, errors);
  return { lines, errors };
}

test("the daemon program and the client program", async (t) => {
  const project = makePrograms(t);
  const account = await relay.addDaemon();
  const { program } = startProgramDaemon(t, project, account);
  for (const name of ["client.mjs", "client.cjs"]) {
    const { lines, errors } = await run(project, name, { env: clientEnv(account) });
    assert.deepEqual(lines, name === "client.mjs" ? ["pong", "pushed"] : ["pong"]);
    assert.equal(errors, "");
  }
  assert.ok(program.running, "a listening daemon keeps its process alive");
  assert.deepEqual(new Set(cloud.connected), new Set(["api.sideband.cloud:443", "relay.sideband.cloud:443"]));
});

test("the daemon program run twice has the same fingerprint", async (t) => {
  const project = makePrograms(t);
  const account = await relay.addDaemon();
  const fingerprints = [];
  for (let round = 0; round < 2; round++) {
    const { stop } = startProgramDaemon(t, project, account);
    const peer = startClient(t, relay, account, {
      identityKeyStore: {
        get: () => null,
        set: (_daemonId, publicKey) => void fingerprints.push(computeFingerprint(publicKey)),
        delete() {},
      },
    });
    await peer.whenReady();
    assert.equal(await peer.rpc.call("ping"), "pong");
    await peer.disconnect();
    await stop();
  }
  assert.equal(fingerprints.length, 2);
  assert.equal(fingerprints[0], fingerprints[1]);
});

test("the Quick Connect program: once, then 404; 409 while the daemon is offline", async (t) => {
  const project = makePrograms(t);
  const { server } = await startDaemon(t, relay, { onConnection: (peer) => peer.rpc.handle("ping", () => "pong") });
  const used = await server.createQuickConnect();
  const unused = await server.createQuickConnect();
  const redeem = async (code) => (await run(project, "quick-connect.mjs", { env: cloud.env, args: [code] })).lines;
  assert.deepEqual(await redeem(used.code), ["pong"]);
  assert.deepEqual(await redeem(used.code), ["404", "closed"]);
  await server.close();
  await relay.daemonLeft(server.daemonId);
  assert.deepEqual(await redeem(unused.code), ["409", "closed"]);
});

test("the minimal file store pins, and knows the daemon again", async (t) => {
  const project = makePrograms(t);
  const account = await relay.addDaemon();
  startProgramDaemon(t, project, account);
  const env = clientEnv(account);
  assert.deepEqual((await run(project, "file-store.mjs", { env })).lines, ["pong"]);
  const pin = fs.readFileSync(path.join(project.folder, ".sideband", "keys", account.daemonId));
  const identity = JSON.parse(project.read(".sideband/identity.json"));
  assert.deepEqual([...pin], Object.values(identity.publicKey));
  const pinned = await run(project, "file-store.mjs", { env: { ...env, TRUST_POLICY: "pinned-only" } });
  assert.deepEqual(pinned.lines, ["pong"]);
});

test("the self-hosted programs, with their original imports", async (t) => {
  const project = makePrograms(t);
  const { daemonId, apiKey } = await relay.admin("POST", "daemons", { daemonId: "my-daemon" });
  const { accessToken } = await relay.admin("POST", "users", { daemonIds: [daemonId] });
  const presence = await createPresence(relay, { apiKey });
  const daemon = project.start("self-hosted-daemon.mjs", {
    env: { RELAY_ENDPOINT: `${relay.relayUrl}?token=${presence}` },
  });
  atEnd(t, async () => {
    daemon.child.kill("SIGKILL");
    await daemon.closed;
  });
  await daemon.line("listening");
  const { relayUrl, token } = await createSession(relay, { daemonId, accessToken });
  const { lines } = await run(project, "self-hosted-client.mjs", {
    env: { RELAY_URL: relayUrl, SESSION_TOKEN: token },
  });
  assert.match(lines[0], /^SHA256:[0-9A-F:]{95}$/);
  assert.deepEqual(lines.slice(1), ["pong"]);
});

test("without that certificate the connection is refused, and the error names host and phase", async (t) => {
  const project = makeProject(t);
  fs.cpSync(fileURLToPath(new URL("children/refused.mjs", import.meta.url)), path.join(project.folder, "refused.mjs"));
  const { lines } = await run(project, "refused.mjs", { env: { ...cloud.env, NODE_EXTRA_CA_CERTS: undefined } });
  assert.match(lines[0], /api\.sideband\.cloud.*tls/i);
});
