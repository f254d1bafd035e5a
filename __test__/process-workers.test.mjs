// worker_threads: every environment has its own peers and servers, and takes them down with it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { Worker } from "node:worker_threads";
import { startPair } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";
import { until } from "./support/wait.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

/** A worker that is in the middle of it. */
async function startWorker(how) {
  const account = await relay.addDaemon();
  const { apiUrl, relayUrl } = relay;
  const worker = new Worker(new URL("children/worker.mjs", import.meta.url), {
    workerData: { relay: { apiUrl, relayUrl }, account, how },
  });
  await once(worker, "message");
  return worker;
}

/** A pair of this thread, which must not notice anything; the function says that it did not. */
async function startBystander(t) {
  const { peer, remote } = await startPair(t, relay, {
    onConnection: (remote) => remote.rpc.handle("echo", (value) => value),
  });
  const changes = [];
  for (const side of [peer, remote]) side.on("stateChange", ({ state }) => changes.push(state));
  return async () => {
    assert.equal(await peer.rpc.call("echo", "still here"), "still here");
    assert.deepEqual(changes, []);
  };
}

test("a worker that closes what it has ends by itself", async () => {
  const worker = await startWorker("close");
  const [code] = await once(worker, "exit");
  assert.equal(code, 0);
});

test("process.exit() in a worker ends that worker, with its code", async (t) => {
  const bystander = await startBystander(t);
  const worker = await startWorker("exit");
  const [code] = await once(worker, "exit");
  assert.equal(code, 3);
  await bystander();
});

test("loaded, used and terminated 50 times, in the middle of everything", async (t) => {
  const bystander = await startBystander(t);
  const hows = ["busy", "flood", "connecting", "starting", "busy"];
  for (let round = 0; round < 25; round++) {
    // Two at once, for they share the addon's threads.
    const workers = await Promise.all([startWorker(hows[round % 5]), startWorker(hows[(round + 1) % 5])]);
    const codes = await Promise.all(workers.map((worker) => worker.terminate()));
    assert.deepEqual(codes, [1, 1]);
  }
  await bystander();
  // What the workers had is gone from the relay too: the bystander's session is the only one.
  await until(async () => (await relay.sessions()).length === 1);
});

test("two workers and the main thread at once, none disturbed by the end of another", async (t) => {
  const bystander = await startBystander(t);
  const workers = await Promise.all([startWorker("busy"), startWorker("flood")]);
  for (const worker of workers) {
    await worker.terminate();
    await bystander();
  }
});
