// The package's JavaScript loaded more than once in one environment, as test runners and bundles do: the addon is there once.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { connect as first } from "@sideband/cloud";
import { atEnd } from "./support/ending.mjs";
import { startDaemon } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";

const require = createRequire(import.meta.url);
let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

/** Another copy of everything but the addon. */
function loadCopy() {
  for (const file of Object.keys(require.cache)) {
    if (!file.endsWith(".node")) delete require.cache[file];
  }
  return require("@sideband/cloud");
}

test("copies work side by side, each with its own classes", async (t) => {
  const { account } = await startDaemon(t, relay, { onConnection: (remote) => remote.rpc.handle("echo", (v) => v) });
  const copy = loadCopy();
  assert.notEqual(copy.connect, first);
  const { createMemoryIdentityKeyStore, PeerError, renewPresenceToken } = copy;
  for (const connect of [copy.connect, first]) {
    const peer = connect({
      daemonId: account.daemonId,
      getAccessToken: () => account.accessToken,
      apiUrl: relay.apiUrl,
      identityKeyStore: createMemoryIdentityKeyStore(),
    });
    atEnd(t, () => peer.disconnect());
    assert.equal(await peer.rpc.call("echo", 1), 1);
    await assert.rejects(
      peer.rpc.call("missing"),
      (error) => error instanceof PeerError === (connect === copy.connect),
    );
  }
  assert.equal(typeof (await renewPresenceToken(account.apiKey, relay.apiUrl)), "string");
});
