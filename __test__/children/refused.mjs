import { connect, createMemoryIdentityKeyStore } from "@sideband/cloud";

const peer = connect({
  daemonId: "d",
  getAccessToken: () => "token",
  identityKeyStore: createMemoryIdentityKeyStore(),
  retryPolicy: { mode: "never" },
  onUnhandledError: (error) => console.log(error.cause.message),
});
await peer.whenReady().catch(() => {});
