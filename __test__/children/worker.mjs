// An environment of its own: a daemon and a client in a worker, which is ended in the middle of what `how` says, or closes
// what it has.
import { parentPort, workerData } from "node:worker_threads";
import { connect, createMemoryIdentityKeyStore, generateIdentityKeyPair, listen } from "@sideband/cloud";

const { relay, account, how } = workerData;
const listening = listen({
  apiKey: account.apiKey,
  apiUrl: relay.apiUrl,
  relayUrl: relay.relayUrl,
  identityKeyPair: generateIdentityKeyPair(),
  onConnection(remote) {
    remote.rpc.handle("echo", (value) => value);
    if (how === "flood") setInterval(() => remote.events.emit("event", "x".repeat(10_000)));
  },
});
if (how === "starting") parentPort.postMessage("ready");
const server = await listening;
const peer = connect({
  daemonId: account.daemonId,
  getAccessToken: () => account.accessToken,
  apiUrl: relay.apiUrl,
  identityKeyStore: createMemoryIdentityKeyStore(),
});
if (how === "connecting") parentPort.postMessage("ready");
await peer.rpc.call("echo", "from a worker");
parentPort.postMessage("ready");
if (how === "close") {
  await peer.disconnect();
  await server.close();
  parentPort.close();
} else if (how === "exit") {
  void peer.rpc.call("echo", 1);
  process.exit(3);
} else {
  const more = () => peer.rpc.call("echo", "x".repeat(1_000)).then(more);
  for (let lane = 0; lane < 8; lane++) void more();
}
