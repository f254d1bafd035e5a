// A client that keeps the keys it trusts in a directory: the first run pins the daemon's key, every later one insists on it.
import { connect, createFileIdentityKeyStore } from "@sideband/cloud";

const daemonId = process.env.SIDEBAND_DAEMON_ID;
const identityKeyStore = createFileIdentityKeyStore(".sideband/pins");
const isKnown = (await identityKeyStore.get(daemonId)) !== null;
console.log(isKnown ? "this daemon is known" : "this daemon is new: its key will be pinned");

const peer = connect({
  daemonId,
  getAccessToken: () => process.env.SIDEBAND_ACCESS_TOKEN,
  apiUrl: process.env.SIDEBAND_API_URL,
  identityKeyStore,
  trustPolicy: isKnown ? "pinned-only" : "auto",
});
await peer.whenReady();
console.log(await peer.rpc.call("greet", "you"));
await peer.disconnect();
