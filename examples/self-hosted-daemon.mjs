// A daemon on a relay of one's own, by the lower-level API: the negotiator says which daemon it is and where its presence
// tokens come from. Here from the relay's own control plane; any issuer that the relay accepts does.
import { renewPresenceToken } from "@sideband/cloud";
import { relayDaemonNegotiator } from "@sideband/cloud/peer/sbrp";
import { listen } from "@sideband/cloud/peer/server";
import { asDaemonId, computeFingerprint, generateIdentityKeyPair } from "@sideband/cloud/secure-relay";

const identityKeyPair = generateIdentityKeyPair(); // keep it in a file, as file-store/daemon.mjs does

const server = await listen({
  endpoint: process.env.SIDEBAND_RELAY_URL,
  negotiator: relayDaemonNegotiator({
    daemonId: asDaemonId(process.env.SIDEBAND_DAEMON_ID),
    identityKeyPair,
    presenceToken: () => renewPresenceToken(process.env.SIDEBAND_API_KEY, process.env.SIDEBAND_API_URL),
  }),
  onConnection(peer) {
    peer.rpc.handle("greet", (name) => `hello, ${name}`);
  },
});
console.log(`listening at ${server.address}`);
console.log(computeFingerprint(identityKeyPair.publicKey));
