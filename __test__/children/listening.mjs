// Listens until it is told to close, on its standard input or by a client; then nothing keeps it.
import { listen, generateIdentityKeyPair } from "@sideband/cloud";
import { listen as listenDirect } from "@sideband/cloud/peer/server";

const { API_KEY, API_URL, RELAY_URL, WHAT, UNREF } = process.env;
let closing = Date.now();
async function close() {
  closing = Date.now();
  await server.close();
}
const options = {
  onConnection(peer) {
    peer.rpc.handle("ping", () => "pong");
    peer.events.on("close", close);
  },
};
const server =
  WHAT === "direct"
    ? await listenDirect({ endpoint: "ws://127.0.0.1:0", ...options })
    : await listen({
        apiKey: API_KEY,
        apiUrl: API_URL,
        relayUrl: RELAY_URL,
        identityKeyPair: generateIdentityKeyPair(),
        ...options,
      });
process.on("exit", () => console.log(`lived ${Date.now() - closing}`));
if (UNREF === "server") server.unref();
if (UNREF === "again") server.unref().ref();
console.log(`listening ${server.address}`);
