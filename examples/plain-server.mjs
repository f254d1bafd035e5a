// Plain SBP on a port of its own: no relay, no identity, no encryption. For programs on one machine or behind a TLS proxy.
//   node examples/plain-server.mjs [port]
import { listen } from "@sideband/cloud/peer/server";

const [port = "8080"] = process.argv.slice(2);

const server = await listen({
  endpoint: `ws://127.0.0.1:${port}`,
  onConnection(peer) {
    peer.rpc.handle("greet", (name) => `hello, ${name}`);
  },
});
console.log(`listening at ${server.address}`);
