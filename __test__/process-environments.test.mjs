// Several copies of the package in one thread: each has its own peers, and none is disturbed by another's coming or going.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { loadInContext, reload } from "./support/copies.mjs";
import { atEnd } from "./support/ending.mjs";
import { startRelay } from "./support/relay.mjs";
import { until } from "./support/wait.mjs";

const require = createRequire(import.meta.url);

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

/** A daemon and a client of one copy, connected. */
async function startPairOf(t, { connect, createMemoryIdentityKeyStore, generateIdentityKeyPair, listen }) {
  const { apiKey, daemonId, accessToken } = await relay.addDaemon();
  const remotes = [];
  const server = await listen({
    apiKey,
    apiUrl: relay.apiUrl,
    relayUrl: relay.relayUrl,
    identityKeyPair: generateIdentityKeyPair(),
    onConnection(remote) {
      remotes.push(remote);
      remote.rpc.handle("echo", (value) => value);
    },
  });
  atEnd(t, () => server.close());
  const peer = connect({
    daemonId,
    getAccessToken: () => accessToken,
    apiUrl: relay.apiUrl,
    identityKeyStore: createMemoryIdentityKeyStore(),
  });
  atEnd(t, () => peer.disconnect());
  assert.equal(await peer.rpc.call("echo", "connected"), "connected");
  return { server, peer, remote: remotes[0] };
}

const KINDS = {
  "with addons of their own": reload,
  "in contexts of their own, over one addon": loadInContext,
};

for (const [how, load] of Object.entries(KINDS)) {
  test(`copies ${how}: both work at once, and one goes without the other`, async (t) => {
    const copies = [require("@sideband/cloud"), load(), load()];
    assert.equal(new Set(copies.map(({ PeerError }) => PeerError)).size, 3);
    const pairs = [];
    for (const copy of copies) pairs.push(await startPairOf(t, copy));
    for (let round = 0; round < 20; round++) {
      const answers = await Promise.all(pairs.map(({ peer }, number) => peer.rpc.call("echo", `${round}.${number}`)));
      assert.deepEqual(answers, [`${round}.0`, `${round}.1`, `${round}.2`]);
    }
    await pairs[1].peer.disconnect();
    await pairs[1].server.close();
    for (const number of [0, 2]) assert.equal(await pairs[number].peer.rpc.call("echo", number), number);
    await assert.rejects(pairs[1].peer.rpc.call("echo", 1), copies[1].PeerError);
    const late = pairs[2].peer.rpc.call("echo", 1n);
    await assert.rejects(late, (error) => error.name === "TypeError");
  });

  test(`a copy that comes while another is busy, ${how}: no message is lost, and their order stays`, async (t) => {
    const { peer, remote } = await startPairOf(t, require("@sideband/cloud"));
    const seen = [];
    remote.events.on("number", (number) => seen.push(number));
    const total = 5_000;
    let coming;
    for (let number = 0; number < total; number++) {
      peer.events.emit("number", number);
      if (number === total / 2) coming = startPairOf(t, load());
    }
    await until(() => seen.length === total);
    assert.deepEqual(
      seen,
      Array.from({ length: total }, (_, number) => number),
    );
    await coming;
  });
}
