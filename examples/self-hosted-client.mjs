// A client on a relay of one's own, by the lower-level API: one session token per attempt, and the daemon's fingerprint as
// an argument, which somebody read on the daemon's side.
//   node examples/self-hosted-client.mjs SHA256:…
import { createPeer } from "@sideband/cloud/peer";
import { createMemoryIdentityKeyStore, relayClientNegotiator } from "@sideband/cloud/peer/sbrp";

const { SIDEBAND_ACCESS_TOKEN, SIDEBAND_API_URL, SIDEBAND_DAEMON_ID, SIDEBAND_RELAY_URL } = process.env;
const [expected] = process.argv.slice(2);

async function createSessionToken() {
  const response = await fetch(`${SIDEBAND_API_URL}/api/trpc/relay.createSession`, {
    method: "POST",
    headers: { authorization: `Bearer ${SIDEBAND_ACCESS_TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify({ daemonId: SIDEBAND_DAEMON_ID }),
  });
  if (!response.ok) throw new Error(`relay.createSession answered ${response.status}`);
  return (await response.json()).result.data.token;
}

const peer = createPeer({
  endpoint: SIDEBAND_RELAY_URL,
  negotiator: relayClientNegotiator({
    daemonId: SIDEBAND_DAEMON_ID,
    sessionToken: createSessionToken,
    identityKeyStore: createMemoryIdentityKeyStore(),
    trustPolicy: "prompt",
    onFirstConnection: ({ fingerprint }) => fingerprint === expected,
    onIdentityMismatch: () => false,
  }),
  connectionPolicy: { onDisconnect: "pause" },
  retryPolicy: { mode: "on-error" },
});

await peer.connect();
console.log(await peer.rpc.call("greet", "you"));
await peer.disconnect();
