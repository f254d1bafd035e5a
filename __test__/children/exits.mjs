// Ends itself with code 7 in the middle of what WHERE says.
import { connect, createMemoryIdentityKeyStore, generateIdentityKeyPair, listen } from "@sideband/cloud";

const { API_KEY, API_URL, RELAY_URL, DAEMON_ID, ACCESS_TOKEN, WHERE } = process.env;
const exit = () => process.exit(7);
const store = createMemoryIdentityKeyStore();
const options = {
  daemonId: DAEMON_ID,
  getAccessToken: () => ACCESS_TOKEN,
  apiUrl: API_URL,
  identityKeyStore: store,
};
if (WHERE === "token") options.getAccessToken = exit;
if (WHERE === "store") options.identityKeyStore = { get: (id) => store.get(id), set: exit, delete() {} };
if (WHERE === "connecting") setTimeout(exit, Math.random() * 10);
if (WHERE === "daemon") {
  await listen({
    apiKey: API_KEY,
    apiUrl: API_URL,
    relayUrl: RELAY_URL,
    identityKeyPair: generateIdentityKeyPair(),
    onConnection: (peer) => peer.rpc.handle("never", exit),
  });
}
const peer = connect(options);
if (WHERE === "daemon") peer.rpc.call("never").catch(() => {});
if (WHERE === "call" || WHERE === "flood") {
  await peer.whenReady();
  peer.rpc.call("never").catch(() => {});
  peer.rpc.call("echo", 1).then(WHERE === "call" ? exit : undefined);
}
if (WHERE === "flood") {
  const more = () => peer.rpc.call("echo", "x".repeat(10_000)).then(more, () => {});
  for (let lane = 0; lane < 64; lane++) void more();
  setTimeout(exit, Math.random() * 20);
}
