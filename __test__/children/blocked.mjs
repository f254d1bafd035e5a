// Stands still in JavaScript until a line comes in on standard input, and says what its memory did meanwhile. Then it goes
// on, and says whether what it got was complete and in order.
import fs from "node:fs";
import { connect, createMemoryIdentityKeyStore, generateIdentityKeyPair, listen } from "@sideband/cloud";
import { createPeer } from "@sideband/cloud/peer";

const { API_KEY, API_URL, RELAY_URL, DAEMON_ID, ACCESS_TOKEN, ENDPOINT, WHAT } = process.env;
const say = (text) => fs.writeSync(1, `${text}\n`);

function block() {
  const before = process.memoryUsage().rss;
  say("blocked");
  fs.readSync(0, Buffer.alloc(1));
  say(`grew ${process.memoryUsage().rss - before}`);
}

function serve(peer) {
  let expected;
  let gaps = 0;
  peer.events.on("number", ({ number }) => {
    if (number !== (expected ?? number)) gaps += 1;
    expected = number + 1;
  });
  peer.rpc.handle("seen", () => ({ expected, gaps }));
  peer.events.on("block", block);
}

if (WHAT === "daemon") {
  await listen({
    apiKey: API_KEY,
    apiUrl: API_URL,
    relayUrl: RELAY_URL,
    identityKeyPair: generateIdentityKeyPair(),
    onConnection: serve,
    onUnhandledError() {},
  });
  say("listening");
} else {
  const common = { onUnhandledError() {}, retryPolicy: { mode: "on-error", initialDelayMs: 10 } };
  const peer = ENDPOINT
    ? createPeer({ endpoint: ENDPOINT, ...common })
    : connect({
        daemonId: DAEMON_ID,
        getAccessToken: () => ACCESS_TOKEN,
        apiUrl: API_URL,
        identityKeyStore: createMemoryIdentityKeyStore(),
        ...common,
      });
  serve(peer);
  if (ENDPOINT) await peer.connect();
}
