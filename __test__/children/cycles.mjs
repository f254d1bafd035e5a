// One side of many connections that come and go. The client makes as many as it is told to, a line each; after that both
// say what their memory is.
import { createInterface } from "node:readline";
import { connect, createMemoryIdentityKeyStore, generateIdentityKeyPair, listen } from "@sideband/cloud";

const { API_KEY, API_URL, RELAY_URL, DAEMON_ID, ACCESS_TOKEN } = process.env;
const AT_ONCE = 8;

let round = 0;
function sample() {
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external, rss } = process.memoryUsage();
  round += 1;
  console.log(`sample ${round} ${JSON.stringify({ heap: heapUsed + external, rss })}`);
}

if (API_KEY !== undefined) {
  const server = await listen({
    apiKey: API_KEY,
    apiUrl: API_URL,
    relayUrl: RELAY_URL,
    identityKeyPair: generateIdentityKeyPair(),
    onConnection(remote) {
      remote.rpc.handle("echo", (value) => value);
      remote.events.on("event", () => {});
      remote.rpc.call("never").catch(() => {});
    },
  });
  console.log("listening");
  for await (const _ of createInterface({ input: process.stdin })) {
    while (server.connections.size > 0) await new Promise(setImmediate);
    sample();
  }
  await server.close();
} else {
  const identityKeyStore = createMemoryIdentityKeyStore();
  const cycle = async () => {
    const peer = connect({ daemonId: DAEMON_ID, getAccessToken: () => ACCESS_TOKEN, apiUrl: API_URL, identityKeyStore });
    peer.rpc.handle("never", () => new Promise(() => {}));
    peer.on("connected", () => peer.events.emit("event", 1));
    const { signal } = new AbortController();
    await peer.rpc.call("echo", "x".repeat(1_000), { signal });
    const left = peer.rpc.call("echo", 1).catch(() => {});
    await peer.disconnect();
    await left;
  };
  for await (const line of createInterface({ input: process.stdin })) {
    let left = Number(line);
    const lanes = Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) await cycle();
    });
    await Promise.all(lanes);
    sample();
  }
}
