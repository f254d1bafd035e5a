import { listen, generateIdentityKeyPair } from "@sideband/cloud";
import * as fs from "node:fs/promises";

const identityPath = ".sideband/identity.json";

async function loadOrCreateIdentity() {
  try {
    return JSON.parse(await fs.readFile(identityPath, "utf8"));
  } catch {
    const created = generateIdentityKeyPair();
    await fs.mkdir(".sideband", { recursive: true });
    await fs.writeFile(identityPath, JSON.stringify(created));
    return created;
  }
}

await listen({
  apiKey: process.env.SIDEBAND_API_KEY,
  identityKeyPair: await loadOrCreateIdentity(),
  onConnection(peer) {
    peer.rpc.handle("ping", () => "pong");
    peer.rpc.handle("push me", () => peer.rpc.call("push", "pushed"));
  },
});
