// Peers and daemons of a relay of one's own: tokens from anywhere, no control plane.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createMemoryIdentityKeyStore, generateIdentityKeyPair } from "@sideband/cloud";
import { createPeer } from "@sideband/cloud/peer";
import { relayClientNegotiator, relayDaemonNegotiator } from "@sideband/cloud/peer/sbrp";
import { listen } from "@sideband/cloud/peer/server";
import { atEnd } from "./support/ending.mjs";
import { QUICK_RETRY } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";
import { createPresence, createSession } from "./support/sessions.mjs";
import { reached, until } from "./support/wait.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

const identityKeyPair = generateIdentityKeyPair();

async function startOwnDaemon(t, account, { endpoint = relay.relayUrl, presenceToken, ...rest } = {}) {
  const server = await listen({
    endpoint,
    negotiator: relayDaemonNegotiator({ daemonId: account.daemonId, identityKeyPair, presenceToken }),
    onConnection: (remote) => remote.rpc.handle("echo", (value) => value),
    ...rest,
  });
  atEnd(t, () => server.close());
  return server;
}

function negotiatorFor(account, more) {
  return relayClientNegotiator({
    daemonId: account.daemonId,
    identityKeyStore: createMemoryIdentityKeyStore(),
    trustPolicy: "auto",
    ...more,
  });
}

test("tokens in the query of the endpoints", async (t) => {
  const account = await relay.addDaemon();
  const server = await startOwnDaemon(t, account, {
    endpoint: `${relay.relayUrl}?token=${await createPresence(relay, account)}`,
  });
  assert.ok(!server.address.includes("token"));
  const { relayUrl, token } = await createSession(relay, account);
  const peer = createPeer({
    endpoint: `${relayUrl}?token=${token}`,
    negotiator: negotiatorFor(account, { sessionToken: token }),
  });
  atEnd(t, () => peer.disconnect());
  await peer.connect();
  assert.equal(await peer.rpc.call("echo", "mine"), "mine");
  const again = await createSession(relay, account);
  const other = createPeer({ endpoint: `${again.relayUrl}?token=${again.token}`, negotiator: negotiatorFor(account) });
  atEnd(t, () => other.disconnect());
  await other.connect();
  await until(() => server.connections.size === 2);
});

test("tokens from functions, called before every attempt as methods of the options", async (t) => {
  const account = await relay.addDaemon();
  let presences = 0;
  const seenThis = new Set();
  await startOwnDaemon(t, account, {
    async presenceToken() {
      presences += 1;
      seenThis.add(typeof this.daemonId);
      return createPresence(relay, account);
    },
  });
  let sessions = 0;
  const peer = createPeer({
    endpoint: relay.relayUrl,
    retryPolicy: QUICK_RETRY,
    connectionPolicy: { onDisconnect: "pause" },
    negotiator: negotiatorFor(account, {
      async sessionToken() {
        sessions += 1;
        seenThis.add(typeof this.daemonId);
        return (await createSession(relay, account)).token;
      },
    }),
  });
  atEnd(t, () => peer.disconnect());
  await peer.connect();
  const left = reached(peer, "reconnecting");
  const [{ sessionId }] = (await relay.sessions()).filter(({ daemonId }) => daemonId === account.daemonId);
  await relay.cutSession(sessionId);
  await left;
  await peer.whenReady();
  assert.equal(sessions, 2);
  const paused = reached(peer, "paused");
  await relay.cutDaemon(account.daemonId);
  await paused;
  assert.equal(await peer.rpc.call("echo", "again"), "again");
  assert.equal(presences, 2);
  assert.deepEqual([...seenThis], ["string"]);
});

test("a token that the relay refuses rejects listen() and connect(), and is not shown", async (t) => {
  const account = await relay.addDaemon();
  const shows = (error) => !`${error.stack}${error.cause?.stack}`.includes("wrong-token");
  await assert.rejects(startOwnDaemon(t, account, { presenceToken: "wrong-token" }), shows);
  const peer = createPeer({
    endpoint: relay.relayUrl,
    negotiator: negotiatorFor(account, { sessionToken: "wrong-token" }),
  });
  await assert.rejects(peer.connect(), shows);
  assert.equal(peer.state, "closed");
});

test("without any token connect() rejects", async (t) => {
  const account = await relay.addDaemon();
  const peer = createPeer({ endpoint: relay.relayUrl, negotiator: negotiatorFor(account) });
  atEnd(t, () => peer.disconnect());
  await assert.rejects(peer.connect(), /token/);
});

test("a negotiator's prompt decides, and its default policy asks", async (t) => {
  const account = await relay.addDaemon();
  await startOwnDaemon(t, account, { presenceToken: await createPresence(relay, account) });
  for (const answer of [true, false]) {
    const { relayUrl, token } = await createSession(relay, account);
    const asked = [];
    const peer = createPeer({
      endpoint: relayUrl,
      negotiator: relayClientNegotiator({
        daemonId: account.daemonId,
        sessionToken: token,
        identityKeyStore: createMemoryIdentityKeyStore(),
        onFirstConnection: async (info) => (asked.push(info), answer),
        onIdentityMismatch: async () => false,
      }),
    });
    atEnd(t, () => peer.disconnect());
    if (answer) await peer.connect();
    else await assert.rejects(peer.connect(), (error) => error.cause.code === "handshake_failed");
    assert.equal(asked.length, 1);
  }
});
