// A program whose JavaScript stands still while it is flooded: what waits for it stays bounded, in its own process and in
// the sender's, and nothing is lost without somebody being told.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { listen } from "@sideband/cloud/peer/server";
import { atEnd } from "./support/ending.mjs";
import { QUICK_RETRY, startClient, startDaemon } from "./support/peers.mjs";
import { startProgram } from "./support/programs.mjs";
import { startRelay } from "./support/relay.mjs";
import { collected, deferred, reached } from "./support/wait.mjs";

const MIB = 1 << 20;
/** 8 MiB may wait for JavaScript; buffers that grow by doubling, and the socket's, come on top. */
const MOST_GROWTH = 24 * MIB;
/** Nothing on the way holds so much: if this is taken, somebody is unbounded. */
const FLOOD = 512 * MIB;
const PAYLOAD = "x".repeat(8_000);

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

function startBlocked(t, env) {
  const program = startProgram([fileURLToPath(new URL("children/blocked.mjs", import.meta.url))], {
    env: { API_URL: relay.apiUrl, RELAY_URL: relay.relayUrl, ...env },
  });
  atEnd(t, async () => {
    program.child.kill("SIGKILL");
    await program.closed;
  });
  return program;
}

/** Sends until somebody says that it is enough; gives the number sent. */
async function flood(peer, send) {
  for (let number = 0; number * PAYLOAD.length < FLOOD; number++) {
    if (peer.state !== "active") return number;
    try {
      send({ number, payload: PAYLOAD });
    } catch (error) {
      assert.equal(error.code, "buffer_overflow");
      return number;
    }
    if (number % 64 === 0) await turn();
  }
  throw new Error(`${FLOOD} bytes were taken for a program that stands still`);
}

/** Lets the program go on, and looks at what it gathered. */
async function unblock(program) {
  program.say("go on");
  const grew = Number(await program.line("grew "));
  assert.ok(grew < MOST_GROWTH, `it grew by ${grew} bytes while it stood still`);
}

test("a client of a server on a port of its own: the sender gets buffer_overflow, and all that was taken arrives", async (t) => {
  const arrived = deferred();
  const server = await listen({ endpoint: "ws://127.0.0.1:0", onConnection: arrived.resolve });
  atEnd(t, () => server.close());
  const program = startBlocked(t, { ENDPOINT: server.address });
  const remote = await arrived.promise;
  remote.events.emit("block");
  await program.line("blocked");
  const sent = await flood(remote, (data) => remote.events.emit("number", data));
  assert.equal(remote.state, "active");
  await unblock(program);
  // The buffer has room again before long; until then calls are refused like the events were.
  const seen = await retried(() => remote.rpc.call("seen", undefined, { timeoutMs: 60_000 }));
  assert.deepEqual(seen, { expected: sent, gaps: 0 });
});

test("a client behind the relay: its session ends, no other's does, and it comes back", async (t) => {
  const arrived = deferred();
  const remotes = [];
  const { account } = await startDaemon(t, relay, {
    onConnection(remote) {
      remote.rpc.handle("echo", (value) => value);
      remotes.push(remote);
      arrived.resolve(remote);
    },
    onUnhandledError() {},
  });
  const program = startBlocked(t, { DAEMON_ID: account.daemonId, ACCESS_TOKEN: account.accessToken });
  const remote = await arrived.promise;
  const other = startClient(t, relay, account);
  assert.equal(await other.rpc.call("echo", 1), 1);
  remote.events.emit("block");
  await program.line("blocked");
  await flood(remote, (data) => remote.events.emit("number", data));
  assert.equal(await other.rpc.call("echo", 2), 2);
  await unblock(program);
  await reached(remote, "closed");
  const [, , again] = await collected(remotes, 3);
  assert.equal((await again.rpc.call("seen")).gaps, 0);
});

test("a daemon: its clients hear of it, and it serves them again once it goes on", async (t) => {
  const account = await relay.addDaemon();
  const program = startBlocked(t, { API_KEY: account.apiKey, WHAT: "daemon" });
  await program.line("listening");
  const peer = startClient(t, relay, account, { retryPolicy: QUICK_RETRY, onUnhandledError() {} });
  await peer.whenReady();
  peer.events.emit("block");
  await program.line("blocked");
  await flood(peer, (data) => peer.events.emit("number", data));
  await unblock(program);
  const { gaps } = await retried(() => peer.rpc.call("seen"));
  assert.equal(gaps, 0);
});

/** The first answer that is not a refusal for want of room. */
async function retried(call) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!["buffer_overflow", "not_connected"].includes(error.code)) throw error;
      await turn();
    }
  }
}
