import { connect, createMemoryIdentityKeyStore } from "@sideband/cloud";

const peer = connect({
  daemonId: process.env.SIDEBAND_DAEMON_ID,
  getAccessToken: () => process.env.ACCESS_TOKEN,
  identityKeyStore: createMemoryIdentityKeyStore(),
  onIdentityMismatch: async () => false,
});

peer.rpc.handle("push", (what) => console.log(what));
await peer.whenReady();
console.log(await peer.rpc.call("ping"));
await peer.rpc.call("push me");
await peer.disconnect();
