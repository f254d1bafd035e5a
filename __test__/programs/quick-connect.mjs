import { CloudApiError, connect, createMemoryIdentityKeyStore } from "@sideband/cloud";

const peer = connect({
  quickConnectCode: process.argv[2],
  identityKeyStore: createMemoryIdentityKeyStore(),
  onUnhandledError(error) {
    if (error instanceof CloudApiError) console.log(error.status);
  },
});

try {
  await peer.whenReady();
  console.log(await peer.rpc.call("ping"));
} catch {
  console.log(peer.state);
}
await peer.disconnect();
