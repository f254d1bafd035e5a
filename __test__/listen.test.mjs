// How a daemon starts, what stops it from starting, and how it ends.
import assert from "node:assert/strict";
import http from "node:http";
import { once } from "node:events";
import { after, before, test } from "node:test";
import {
  CloudApiError,
  extractDaemonIdFromToken,
  generateIdentityKeyPair,
  listen,
  renewPresenceToken,
} from "@sideband/cloud";
import { atEnd } from "./support/ending.mjs";
import { startClient, startDaemon, startPair } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";
import { deferred, reached, until } from "./support/wait.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

const identityKeyPair = generateIdentityKeyPair();

function options(account, more) {
  const { apiUrl, relayUrl } = relay;
  return { apiKey: account.apiKey, apiUrl, relayUrl, identityKeyPair, onConnection() {}, ...more };
}

/** A control plane that answers as the test wants, and counts. */
async function startApi(t, answer) {
  const seen = [];
  const server = http.createServer((request, response) => {
    seen.push(request.url);
    answer(response, seen.length);
  });
  atEnd(t, () => server.close().closeAllConnections());
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { apiUrl: `http://127.0.0.1:${server.address().port}`, seen };
}

test("a server knows its daemon id, relay and address", async (t) => {
  const { server, account } = await startDaemon(t, relay);
  assert.equal(server.daemonId, account.daemonId);
  assert.equal(server.relayUrl, relay.relayUrl);
  assert.equal(server.address, relay.relayUrl);
  assert.equal(server.connections.size, 0);
  await server.close();
  const { server: named } = await startDaemon(t, relay, { account, daemonId: account.daemonId });
  assert.equal(named.daemonId, account.daemonId);
  for (const shown of [server.relayUrl, server.address]) assert.ok(!shown.includes("token"));
});

test("relayUrl reads as it was given, and shows nothing of its query", async (t) => {
  for (const more of ["/", "?token=secret", "/?region=eu"]) {
    const { server } = await startDaemon(t, relay, { relayUrl: `${relay.relayUrl}${more}` });
    assert.equal(server.relayUrl, `${relay.relayUrl}/`);
  }
});

test("a daemon id that is not the key's rejects with CloudApiError 400", async () => {
  const account = await relay.addDaemon();
  await assert.rejects(listen(options(account, { daemonId: "another" })), (error) => {
    assert.ok(error instanceof CloudApiError);
    assert.equal(error.status, 400);
    return true;
  });
});

test("a refused key rejects at once with CloudApiError, and shows no key", async () => {
  await assert.rejects(listen(options({ apiKey: "sbnd_dak_wrong" })), (error) => {
    assert.ok(error instanceof CloudApiError);
    assert.equal(error.status, 401);
    assert.doesNotMatch(error.stack, /sbnd_dak/);
    assert.match(error.stack, /listen\.test\.mjs/, "the stack contains the caller");
    return true;
  });
});

test("a key with the line break of its file is a TypeError that names it, and shows no key", async () => {
  for (const apiKey of ["sbnd_dak_x\n", "sbnd_dak_x y", "sbnd_dak_é"]) {
    const error = { name: "TypeError", message: /^apiKey must not contain blanks, [^_]*$/ };
    await assert.rejects(listen(options({ apiKey })), error);
    await assert.rejects(renewPresenceToken(apiKey, "http://127.0.0.1:9"), error);
  }
});

for (const status of [400, 401, 403, 404]) {
  test(`${status} from the control plane rejects without another try`, async (t) => {
    const { apiUrl, seen } = await startApi(t, (response) => response.writeHead(status).end("{}"));
    await assert.rejects(listen(options({ apiKey: "k" }, { apiUrl })), { name: "CloudApiError", status });
    assert.deepEqual(seen, ["/api/trpc/daemon.renewToken"]);
  });
}

test("what may pass is retried until it has passed", async (t) => {
  const account = await relay.addDaemon();
  const token = await renewPresenceToken(account.apiKey, relay.apiUrl);
  const { apiUrl, seen } = await startApi(t, (response, count) => {
    if (count === 1) return response.writeHead(503).end("not now");
    return response.end(JSON.stringify({ result: { data: { presenceToken: token } } }));
  });
  const errors = [];
  const server = await listen(options(account, { apiUrl, onUnhandledError: (error) => errors.push(error) }));
  atEnd(t, () => server.close());
  assert.equal(seen.length, 2);
  assert.deepEqual(
    errors.map(({ status }) => status),
    [503],
    "the attempt that failed is told",
  );
});

test("signal aborts the start with its reason, and nothing stays", async () => {
  const reason = new Error("enough");
  const controller = new AbortController();
  const starting = listen(options({ apiKey: "k" }, { apiUrl: "http://127.0.0.1:9", signal: controller.signal }));
  controller.abort(reason);
  await assert.rejects(starting, (error) => error === reason);
  await assert.rejects(listen(options({ apiKey: "k" }, { signal: AbortSignal.abort() })), { name: "AbortError" });
  await assert.rejects(listen(options({ apiKey: "k" }, { signal: 7 })), { name: "TypeError", message: /signal/ });
});

test("after the first connection signal does nothing", async (t) => {
  const controller = new AbortController();
  const { peer } = await startPair(t, relay, { daemon: { signal: controller.signal } });
  controller.abort();
  await assert.rejects(peer.rpc.call("nothing"), { details: { wireCode: 1101, data: undefined } });
});

test("close() is idempotent, closes every peer at once, and tells the clients", async (t) => {
  const remotes = [];
  const { server, account } = await startDaemon(t, relay, { onConnection: (remote) => void remotes.push(remote) });
  const peers = [1, 2, 3].map(() =>
    startClient(t, relay, account, { retryPolicy: { mode: "never" }, onUnhandledError() {} }),
  );
  await Promise.all(peers.map((peer) => peer.whenReady()));
  await until(() => remotes.length === 3);
  const gone = peers.map((peer) => reached(peer, "closed"));
  const closing = server.close();
  assert.deepEqual(
    remotes.map(({ state }) => state),
    ["closed", "closed", "closed"],
  );
  assert.equal(server.connections.size, 0);
  await Promise.all([closing, server.close(), ...gone]);
  await assert.rejects(server.createQuickConnect(), { code: "peer_closed" });
  await server.close();
});

test("the daemon comes back after its connection was cut, also without clients", async (t) => {
  const { account } = await startDaemon(t, relay, { onConnection: (remote) => remote.rpc.handle("echo", (v) => v) });
  await relay.cutDaemon(account.daemonId);
  const peer = startClient(t, relay, account);
  await peer.whenReady();
  assert.equal(await peer.rpc.call("echo", 1), 1);
});

test("several daemons live in one process", async (t) => {
  const pairs = await Promise.all(
    [1, 2, 3].map((n) => startPair(t, relay, { onConnection: (remote) => remote.rpc.handle("n", () => n) })),
  );
  assert.deepEqual(await Promise.all(pairs.map(({ peer }) => peer.rpc.call("n"))), [1, 2, 3]);
});

test("renewPresenceToken gives a token that names its daemon", async () => {
  const account = await relay.addDaemon();
  const token = await renewPresenceToken(account.apiKey, relay.apiUrl);
  assert.equal(extractDaemonIdFromToken(token), account.daemonId);
  await assert.rejects(renewPresenceToken("sbnd_dak_wrong", relay.apiUrl), { name: "CloudApiError", status: 401 });
  await assert.rejects(renewPresenceToken("", relay.apiUrl), TypeError);
  await assert.rejects(renewPresenceToken("k", "ftp://x"), TypeError);
  await assert.rejects(renewPresenceToken("k", "http://127.0.0.1:9"), /127\.0\.0\.1/);
  const reason = new Error("enough");
  await assert.rejects(renewPresenceToken("k", relay.apiUrl, AbortSignal.abort(reason)), reason);
});

test("renewPresenceToken can be aborted on its way", async (t) => {
  const asked = deferred();
  const { apiUrl } = await startApi(t, () => asked.resolve());
  const controller = new AbortController();
  const renewing = renewPresenceToken("k", apiUrl, controller.signal);
  await asked.promise;
  const reason = new Error("enough");
  controller.abort(reason);
  await assert.rejects(renewing, (error) => error === reason);
});

test("extractDaemonIdFromToken refuses what names no daemon with CloudApiError 400", () => {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  assert.equal(extractDaemonIdFromToken(`${part({})}.${part({ did: "d_ä" })}.x`), "d_ä");
  for (const token of [
    "",
    "a.b",
    "a.b.c",
    `a.${part({})}.c`,
    `a.${part({ did: 7 })}.c`,
    `a.${part({ did: "" })}.c`,
    undefined,
  ]) {
    assert.throws(() => extractDaemonIdFromToken(token), { name: "CloudApiError", status: 400 }, token);
  }
});
