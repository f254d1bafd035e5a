// Connects, and then does what the test is about.
import { connect, createMemoryIdentityKeyStore } from "@sideband/cloud";

const { DAEMON_ID, ACCESS_TOKEN, API_URL, WHAT } = process.env;
const peer = connect({
  daemonId: DAEMON_ID,
  getAccessToken: () => ACCESS_TOKEN,
  apiUrl: API_URL,
  identityKeyStore: createMemoryIdentityKeyStore(),
  onUnhandledError: (error) => console.log(`error ${error.name}`),
});
let closing = Date.now();
process.on("exit", () => console.log(`lived ${Date.now() - closing}`));
if (WHAT === "wait") {
  peer.on("reconnecting", () => console.log("reconnecting"));
} else if (WHAT === "refused") {
  peer.on("stateChange", ({ state }) => {
    console.log(state);
    closing = Date.now();
  });
} else {
  await peer.whenReady();
  console.log("connected");
  closing = Date.now();
}
if (WHAT === "disconnect") await peer.disconnect();
if (WHAT === "disconnect-unawaited") peer.disconnect();
if (WHAT === "dispose") peer[Symbol.dispose]();
if (WHAT === "unref") peer.unref();
if (WHAT === "ref") peer.unref().ref();
if (WHAT === "throw") {
  process.nextTick(() => {
    throw new Error("nobody catches this");
  });
}
