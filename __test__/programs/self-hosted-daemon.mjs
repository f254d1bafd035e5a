import { listen } from "@sideband/peer/server";
import { relayDaemonNegotiator } from "@sideband/peer/sbrp";
import { asDaemonId, generateIdentityKeyPair } from "@sideband/secure-relay";

const identity = generateIdentityKeyPair();

await listen({
  endpoint: process.env.RELAY_ENDPOINT,
  negotiator: relayDaemonNegotiator({
    daemonId: asDaemonId("my-daemon"),
    identityKeyPair: identity,
  }),
  onConnection(peer) {
    peer.rpc.handle("ping", () => "pong");
  },
});
console.log("listening");
