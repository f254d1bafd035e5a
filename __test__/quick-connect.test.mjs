// Quick Connect: a code works once, and a connection made with one does not come back.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import vm from "node:vm";
import { CloudApiError, PeerError, connect, createMemoryIdentityKeyStore } from "@sideband/cloud";
import { atEnd } from "./support/ending.mjs";
import { startDaemon } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";
import { reached } from "./support/wait.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

function redeem(t, quickConnectCode) {
  const errors = [];
  const peer = connect({
    quickConnectCode,
    apiUrl: relay.apiUrl,
    identityKeyStore: createMemoryIdentityKeyStore(),
    onUnhandledError: (error) => errors.push(error),
  });
  atEnd(t, () => peer.disconnect());
  return { peer, errors };
}

const echo = { onConnection: (remote) => remote.rpc.handle("echo", (value) => value) };

test("a code connects once, however it is typed; a second use is fatal with 404", async (t) => {
  const { server } = await startDaemon(t, relay, echo);
  const { code, url, expiresAt } = await server.createQuickConnect({ ttlSeconds: 60 });
  assert.match(code, /^[a-z]{4}-[a-z]{4}-[a-z]{4}$/);
  assert.ok(url.includes(code));
  const life = new Date(expiresAt) - Date.now();
  assert.ok(life > 0 && life <= 61_000, expiresAt);
  const { peer } = redeem(t, ` ${code.toUpperCase().replaceAll("-", " ")} `);
  await peer.whenReady();
  assert.equal(await peer.rpc.call("echo", "quick"), "quick");

  const second = redeem(t, code);
  await assert.rejects(second.peer.whenReady(), { code: "peer_closed" });
  assert.equal(second.errors.length, 1);
  assert.ok(second.errors[0] instanceof CloudApiError);
  assert.equal(second.errors[0].status, 404);
  assert.ok(!second.errors[0].stack.includes(code), "a code is a credential");
});

test("the url's page shows the code, which it has from the fragment", async (t) => {
  const { server } = await startDaemon(t, relay);
  const { code, url } = await server.createQuickConnect();
  const page = await (await fetch(url)).text();
  assert.ok(!page.includes(code));
  const [, script] = /<script>(.*)<\/script>/s.exec(page);
  const places = page.match(/ data-code>/g).map(() => ({ textContent: "" }));
  const document = { querySelectorAll: (selector) => (selector === "[data-code]" ? places : []) };
  const open = (address) => vm.runInNewContext(script, { document, location: new URL(address), addEventListener() {} });
  open(`${url.split("#")[0]}#<b>not-a-code`);
  assert.deepEqual(places, [{ textContent: "" }, { textContent: "" }]);
  open(url);
  assert.deepEqual(places, [{ textContent: code }, { textContent: code }]);
});

test("a code redeemed while the daemon is offline is fatal with 409", async (t) => {
  const { server } = await startDaemon(t, relay);
  const { code } = await server.createQuickConnect();
  await server.close();
  await relay.daemonLeft(server.daemonId);
  const { peer, errors } = redeem(t, code);
  await assert.rejects(peer.whenReady(), { code: "peer_closed" });
  assert.equal(errors[0].name, "CloudApiError");
  assert.equal(errors[0].status, 409);
});

test("a dropped connection ends in closed", async (t) => {
  const { server } = await startDaemon(t, relay, echo);
  const { code } = await server.createQuickConnect();
  const { peer, errors } = redeem(t, code);
  await peer.whenReady();
  const states = [];
  peer.on("stateChange", ({ state }) => states.push(state));
  const [session] = (await relay.sessions()).filter(({ daemonId }) => daemonId === server.daemonId);
  await relay.cutSession(session.sessionId);
  await reached(peer, "closed");
  assert.deepEqual(states, ["closed"]);
  assert.equal(errors.length, 1);
  assert.ok(errors[0] instanceof PeerError);
});

test("a life outside 1 to 300 seconds is refused with 400", async (t) => {
  const { server } = await startDaemon(t, relay);
  for (const ttlSeconds of [0, 301, -1, 1.5, Number.NaN]) {
    await assert.rejects(server.createQuickConnect({ ttlSeconds }), { name: "CloudApiError", status: 400 });
  }
  await assert.rejects(server.createQuickConnect({ ttlSeconds: "60" }), { name: "TypeError", message: /ttlSeconds/ });
  for (const options of [null, 60, "60"]) {
    await assert.rejects(server.createQuickConnect(options), { name: "TypeError", message: /options/ });
  }
});
