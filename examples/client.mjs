import { connect, createMemoryIdentityKeyStore } from "@sideband/cloud";

const peer = connect({
  daemonId: process.env.SIDEBAND_DAEMON_ID,
  getAccessToken: () => process.env.SIDEBAND_ACCESS_TOKEN,
  apiUrl: process.env.SIDEBAND_API_URL,
  identityKeyStore: createMemoryIdentityKeyStore(),
});
await peer.whenReady();
console.log(await peer.rpc.call("greet", "you"));
peer.events.emit("note", "it works");
await peer.disconnect();
