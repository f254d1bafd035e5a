// Connects and closes again and again, daemon and client in one process, and says what its memory did.
import { connect, createMemoryIdentityKeyStore, generateIdentityKeyPair, listen } from "@sideband/cloud";

const { API_KEY, API_URL, RELAY_URL, DAEMON_ID, ACCESS_TOKEN } = process.env;
// Young generations, allocators and thread stacks reach their size in the first thousands.
const WARM_UP = 2_000;
const CYCLES = 2_000;
const AT_ONCE = 8;

const server = await listen({
  apiKey: API_KEY,
  apiUrl: API_URL,
  relayUrl: RELAY_URL,
  identityKeyPair: generateIdentityKeyPair(),
  onConnection(peer) {
    peer.rpc.handle("echo", (value) => value);
    peer.events.on("event", () => {});
  },
});
const identityKeyStore = createMemoryIdentityKeyStore();

async function cycle() {
  const peer = connect({ daemonId: DAEMON_ID, getAccessToken: () => ACCESS_TOKEN, apiUrl: API_URL, identityKeyStore });
  peer.on("connected", () => peer.events.emit("event", 1));
  const controller = new AbortController();
  await peer.rpc.call("echo", "x".repeat(1_000), { signal: controller.signal });
  const left = peer.rpc.call("echo", 1).catch(() => {});
  await peer.disconnect();
  await left;
}

async function cycles(count) {
  let left = count;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) await cycle();
    }),
  );
}

function usage() {
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, rss } = process.memoryUsage();
  return { heapUsed, rss };
}

await cycles(WARM_UP);
const before = usage();
await cycles(CYCLES);
const after = usage();
while (server.connections.size > 0) await new Promise(setImmediate);
console.log(JSON.stringify({ heap: after.heapUsed - before.heapUsed, rss: after.rss - before.rss }));
await server.close();
