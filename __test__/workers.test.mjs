// worker_threads: every environment has its own, and takes it down with it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { Worker } from "node:worker_threads";
import { startPair } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

async function startWorker(close) {
  const account = await relay.addDaemon();
  const { apiUrl, relayUrl } = relay;
  const worker = new Worker(new URL("children/worker.mjs", import.meta.url), {
    workerData: { relay: { apiUrl, relayUrl }, account, close },
  });
  const [echoed] = await once(worker, "message");
  assert.equal(echoed, "from a worker");
  return worker;
}

test("a worker that closes what it has ends by itself", async () => {
  const worker = await startWorker(true);
  const [code] = await once(worker, "exit");
  assert.equal(code, 0);
});

test("loaded, used and terminated 50 times", async () => {
  for (let round = 0; round < 50; round++) {
    const worker = await startWorker(false);
    assert.equal(await worker.terminate(), 1);
  }
});

test("two workers and the main thread at once, none disturbed by the end of another", async (t) => {
  const { peer } = await startPair(t, relay, {
    onConnection: (remote) => remote.rpc.handle("echo", (value) => value),
  });
  const workers = await Promise.all([startWorker(false), startWorker(false)]);
  await workers[0].terminate();
  assert.equal(await peer.rpc.call("echo", 1), 1);
  await workers[1].terminate();
  assert.equal(await peer.rpc.call("echo", 2), 2);
});
