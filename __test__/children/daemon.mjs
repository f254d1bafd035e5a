// A daemon as a program of its own, for tests that end it the hard way. It tells on standard output what it is called with.
import { generateIdentityKeyPair, listen } from "@sideband/cloud";

const { API_KEY, API_URL, RELAY_URL } = process.env;
await listen({
  apiKey: API_KEY,
  apiUrl: API_URL,
  relayUrl: RELAY_URL,
  identityKeyPair: generateIdentityKeyPair(),
  onConnection(peer) {
    peer.rpc.handle("echo", (value) => {
      console.log(`echo ${JSON.stringify(value)}`);
      return value;
    });
    peer.rpc.handle("never", () => {
      console.log("never");
      return new Promise(() => {});
    });
    peer.events.onPattern(">", (name, data) => console.log(`event ${name} ${JSON.stringify(data)}`));
  },
});
console.log("listening");
