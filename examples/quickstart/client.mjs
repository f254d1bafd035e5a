// The client of the quickstart: it asks before it trusts, calls, listens to an event, and lives through a lost connection.
import { once } from "node:events";
import { connect, createMemoryIdentityKeyStore } from "@sideband/cloud";

const { ACCESS_TOKEN, API_URL, DAEMON_ID } = process.env;

const peer = connect({
  daemonId: DAEMON_ID,
  getAccessToken: () => ACCESS_TOKEN,
  apiUrl: API_URL,
  identityKeyStore: createMemoryIdentityKeyStore(),
  trustPolicy: "prompt",
  onFirstConnection({ fingerprint }) {
    console.log(`first connection, the daemon shows ${fingerprint}: trusted`);
    return true;
  },
  onIdentityMismatch: () => false,
});

peer.rpc.handle("platform", () => `Node ${process.versions.node} on ${process.platform}`);
const announced = new Promise((resolve) => peer.events.on("daemon.ready", resolve));
await peer.whenReady();
console.log(`encrypted call: ${await peer.rpc.call("greet", { name: "Ada" })}`);
console.log(`event daemon.ready: ${JSON.stringify(await announced)}`);

// The parent now cuts the daemon's connection at the relay.
const interrupted = new Promise((resolve) => {
  for (const event of ["sessionPaused", "reconnecting"]) peer.on(event, () => resolve(event));
});
process.send({ talked: true });
await once(process, "message");
console.log(`${await interrupted}: a call made now waits`);
console.log(`encrypted call: ${await peer.rpc.call("greet", { name: "Grace" }, { timeoutMs: 30_000 })}`);
console.log(`the peer is ${peer.state} again`);

await peer.disconnect();
console.log("closed");
process.disconnect();
