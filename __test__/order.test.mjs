// Messages of one peer arrive in order, whatever they are.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startPair } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";
import { collected } from "./support/wait.mjs";

const COUNT = 10_000;

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

for (const direction of ["to the daemon", "to the client"]) {
  test(`10,000 events and calls arrive in order ${direction}`, async (t) => {
    const { peer, remote } = await startPair(t, relay);
    const [from, to] = direction === "to the daemon" ? [peer, remote] : [remote, peer];
    const seen = [];
    to.events.on("number", (number) => seen.push(number));
    to.rpc.handle("number", (number) => {
      seen.push(number);
      return number;
    });
    const answers = [];
    for (let number = 0; number < COUNT; number++) {
      if (number % 2 === 0) from.events.emit("number", number);
      else answers.push(from.rpc.call("number", number, { timeoutMs: 60_000 }));
      // A sender that never lets go of the thread would run into the bound of a session's queue.
      if (answers.length % 256 === 0) await answers.at(-1);
    }
    await Promise.all(answers);
    await collected(seen, COUNT);
    assert.deepEqual(
      seen,
      Array.from({ length: COUNT }, (_, number) => number),
    );
  });
}
