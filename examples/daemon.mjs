import { generateIdentityKeyPair, listen } from "@sideband/cloud";

const server = await listen({
  apiKey: process.env.SIDEBAND_API_KEY,
  apiUrl: process.env.SIDEBAND_API_URL,
  relayUrl: process.env.SIDEBAND_RELAY_URL,
  identityKeyPair: generateIdentityKeyPair(), // keep it in a file: it is what clients trust
  onConnection(peer) {
    peer.rpc.handle("greet", (name) => `hello, ${name}`);
    peer.events.on("note", (text) => console.log("a client notes:", text));
  },
});
console.log(`listening as ${server.daemonId}`);
