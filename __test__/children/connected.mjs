// Connects, and then does what the test is about.
import { connect, createMemoryIdentityKeyStore } from "@sideband/cloud";

const { DAEMON_ID, ACCESS_TOKEN, API_URL, WHAT } = process.env;
const peer = connect({
  daemonId: DAEMON_ID,
  getAccessToken: () => ACCESS_TOKEN,
  apiUrl: API_URL,
  identityKeyStore: createMemoryIdentityKeyStore(),
});
let closed;
process.on("exit", () => console.log(`lived ${Date.now() - closed}`));
if (WHAT === "connecting") {
  peer.on("reconnecting", () => console.log("reconnecting"));
} else {
  await peer.whenReady();
  console.log("connected");
}
if (WHAT === "disconnect") {
  await peer.disconnect();
  closed = Date.now();
}
if (WHAT === "close") {
  peer.events.emit("close");
  peer.on("disconnected", () => peer.disconnect());
}
if (WHAT === "unref") peer.unref();
if (WHAT === "exit") {
  peer.rpc.call("never").catch(() => {});
  peer.rpc.call("ping").catch(() => {});
  setImmediate(() => process.exit(7));
}
