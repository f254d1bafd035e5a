// Listens until a client says close; then nothing keeps it.
import { listen, generateIdentityKeyPair } from "@sideband/cloud";

const { API_KEY, API_URL, RELAY_URL, UNREF } = process.env;
const server = await listen({
  apiKey: API_KEY,
  apiUrl: API_URL,
  relayUrl: RELAY_URL,
  identityKeyPair: generateIdentityKeyPair(),
  onConnection(peer) {
    peer.rpc.handle("ping", () => "pong");
    peer.events.on("close", async () => {
      await server.close();
      closed = Date.now();
    });
  },
});
let closed;
process.on("exit", () => console.log(`lived ${Date.now() - closed}`));
if (UNREF === "server") server.unref();
if (UNREF === "again") server.unref().ref();
console.log("listening");
