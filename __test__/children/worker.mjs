// An environment of its own: a daemon and a client in a worker, which either close or are terminated.
import { parentPort, workerData } from "node:worker_threads";
import { connect, createMemoryIdentityKeyStore, generateIdentityKeyPair, listen } from "@sideband/cloud";

const { relay, account, close } = workerData;
const server = await listen({
  apiKey: account.apiKey,
  apiUrl: relay.apiUrl,
  relayUrl: relay.relayUrl,
  identityKeyPair: generateIdentityKeyPair(),
  onConnection: (peer) => peer.rpc.handle("echo", (value) => value),
});
const peer = connect({
  daemonId: account.daemonId,
  getAccessToken: () => account.accessToken,
  apiUrl: relay.apiUrl,
  identityKeyStore: createMemoryIdentityKeyStore(),
});
parentPort.postMessage(await peer.rpc.call("echo", "from a worker"));
if (close) {
  await peer.disconnect();
  await server.close();
  parentPort.close();
} else {
  for (;;) await peer.rpc.call("echo", "busy");
}
