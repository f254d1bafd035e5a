// TLS under roots of the program's own (`ca`), and tokens in the Authorization header (`tokenInHeader`).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createMemoryIdentityKeyStore, generateIdentityKeyPair } from "@sideband/cloud";
import { createPeer } from "@sideband/cloud/peer";
import { relayClientNegotiator, relayDaemonNegotiator } from "@sideband/cloud/peer/sbrp";
import { listen } from "@sideband/cloud/peer/server";
import { makeCertificate } from "./support/certificate.mjs";
import { atEnd } from "./support/ending.mjs";
import { startClient, startDaemon } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";
import { createPresence, createSession } from "./support/sessions.mjs";
import { startTlsFront } from "./support/tls-front.mjs";

let relay;
let front;
before(async () => {
  relay = await startRelay();
  front = await startTlsFront(relay);
});
after(async () => {
  await front.stop();
  await relay.stop();
});

const other = makeCertificate(["localhost"]).cert;
const echo = (remote) => remote.rpc.handle("echo", (value) => value);

/** The relay as the front shows it. */
const behindTls = () => ({ ...relay, apiUrl: front.apiUrl, relayUrl: front.relayUrl });

/** What was said in the upgrades since the last look. */
const upgrades = () => front.upgrades.splice(0);

test("connect and listen trust the roots they are given, for the API and the WebSocket", async (t) => {
  const forms = [front.cert, Buffer.from(front.cert), new TextEncoder().encode(front.cert), [other, front.cert]];
  for (const ca of forms) {
    const { account } = await startDaemon(t, behindTls(), { account: await relay.addDaemon(), ca, onConnection: echo });
    const peer = startClient(t, behindTls(), account, { ca });
    assert.equal(await peer.rpc.call("echo", "over TLS"), "over TLS");
    for (const { url, authorization } of upgrades()) {
      assert.match(url, /\?token=/);
      assert.equal(authorization, undefined);
    }
  }
});

test("without them, or with others, the certificate is refused by name of host and phase", async (t) => {
  const account = await relay.addDaemon();
  for (const ca of [undefined, other, []]) {
    const errors = [];
    const peer = startClient(t, behindTls(), account, {
      ca,
      retryPolicy: { mode: "never" },
      onUnhandledError: (error) => errors.push(error),
    });
    await assert.rejects(peer.whenReady(), { code: "peer_closed", message: /localhost:\d+: tls: .*certificate/ });
    assert.equal(errors.length, 1);
  }
  assert.deepEqual(upgrades(), []);
});

test("tokenInHeader keeps every token out of the URL", async (t) => {
  const ca = front.cert;
  const account = await relay.addDaemon();
  const options = { account, ca, tokenInHeader: true, onConnection: echo };
  const { server } = await startDaemon(t, behindTls(), options);
  const peer = startClient(t, behindTls(), account, { ca, tokenInHeader: true });
  assert.equal(await peer.rpc.call("echo", 1), 1);
  const { code } = await server.createQuickConnect();
  const guest = { ca, tokenInHeader: true, quickConnectCode: code, daemonId: undefined, getAccessToken: undefined };
  assert.equal(await startClient(t, behindTls(), account, guest).rpc.call("echo", 2), 2);
  const seen = upgrades();
  assert.equal(seen.length, 3);
  for (const { url, authorization } of seen) {
    assert.ok(!url.includes("token"), url);
    assert.match(authorization, /^Bearer \S+\.\S+\.\S+$/);
  }
});

test("so it does with the relay negotiators, also a token that came in the endpoint", async (t) => {
  const ca = front.cert;
  const account = await relay.addDaemon();
  const { daemonId } = account;
  const presence = await createPresence(relay, account);
  const server = await listen({
    endpoint: `${front.relayUrl}?token=${presence}&kept=1`,
    negotiator: relayDaemonNegotiator({ daemonId, identityKeyPair: generateIdentityKeyPair() }),
    ca,
    tokenInHeader: true,
    onConnection: echo,
  });
  atEnd(t, () => server.close());
  const { token } = await createSession(relay, account);
  const identityKeyStore = createMemoryIdentityKeyStore();
  const peer = createPeer({
    endpoint: front.relayUrl,
    negotiator: relayClientNegotiator({ daemonId, sessionToken: token, identityKeyStore, trustPolicy: "auto" }),
    ca: [ca],
    tokenInHeader: true,
  });
  atEnd(t, () => peer.disconnect());
  await peer.connect();
  assert.equal(await peer.rpc.call("echo", 1), 1);
  assert.deepEqual(upgrades(), [
    { url: "/?kept=1", authorization: `Bearer ${presence}` },
    { url: "/", authorization: `Bearer ${token}` },
  ]);
});
