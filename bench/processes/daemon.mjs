// The daemon: answers `echo`.
import { generateIdentityKeyPair, listen } from "@sideband/cloud";
import { options, serve, usage } from "./answer.mjs";

await listen({
  apiKey: options.apiKey,
  apiUrl: options.apiUrl,
  relayUrl: options.relayUrl,
  identityKeyPair: generateIdentityKeyPair(),
  onConnection: (peer) => void peer.rpc.handle("echo", (params) => params),
});
serve({ usage });
