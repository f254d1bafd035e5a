// The daemon of the quickstart: it has an identity, one method, and calls its client back.
import { generateIdentityKeyPair, listen } from "@sideband/cloud";
import { computeFingerprint } from "@sideband/cloud/secure-relay";

const { API_KEY, API_URL, RELAY_URL } = process.env;
const identityKeyPair = generateIdentityKeyPair();

const server = await listen({
  apiKey: API_KEY,
  apiUrl: API_URL,
  relayUrl: RELAY_URL,
  identityKeyPair,
  async onConnection(peer) {
    peer.rpc.handle("greet", ({ name }) => `Hello, ${name}!`);
    peer.on("sessionPaused", () => console.log("paused: the connection to the relay dropped, the session stands"));
    peer.on("sessionResumed", () => console.log("resumed: same session, same keys"));
    const platform = await peer.rpc.call("platform");
    console.log(`called the client back: it runs on ${platform}`);
    peer.events.emit("daemon.ready", { methods: peer.rpc.listMethods() });
  },
});
console.log(`identity ${computeFingerprint(identityKeyPair.publicKey)}`);
process.send({ listening: server.daemonId });

process.once("message", async () => {
  await server.close();
  console.log("closed");
  process.disconnect();
});
