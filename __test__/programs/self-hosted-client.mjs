import { createPeer } from "@sideband/peer";
import { createMemoryIdentityKeyStore, relayClientNegotiator } from "@sideband/peer/sbrp";
import { asDaemonId } from "@sideband/secure-relay";

const relayUrl = process.env.RELAY_URL;
const sessionToken = process.env.SESSION_TOKEN;

const peer = createPeer({
  endpoint: `${relayUrl}?token=${sessionToken}`,
  negotiator: relayClientNegotiator({
    daemonId: asDaemonId("my-daemon"),
    sessionToken,
    identityKeyStore: createMemoryIdentityKeyStore(),
    trustPolicy: "prompt",
    onFirstConnection: async ({ fingerprint }) => {
      console.log(fingerprint);
      return true;
    },
    onIdentityMismatch: async () => false,
  }),
});

await peer.connect();
console.log(await peer.rpc.call("ping"));
await peer.disconnect();
