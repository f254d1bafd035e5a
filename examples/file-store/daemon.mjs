// A daemon that keeps its identity in a file: run twice, it has the same fingerprint.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { generateIdentityKeyPair, listen } from "@sideband/cloud";
import { computeFingerprint } from "@sideband/cloud/secure-relay";

async function loadOrCreateIdentity(file) {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    if (error.code !== "ENOENT") throw error; // a file that cannot be read is no reason for a new identity
  }
  const identity = generateIdentityKeyPair();
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, JSON.stringify(identity), { mode: 0o600, flag: "wx" });
  return identity;
}

const identityKeyPair = await loadOrCreateIdentity(".sideband/identity.json");
const server = await listen({
  apiKey: process.env.SIDEBAND_API_KEY,
  apiUrl: process.env.SIDEBAND_API_URL,
  relayUrl: process.env.SIDEBAND_RELAY_URL,
  identityKeyPair,
  onConnection(peer) {
    peer.rpc.handle("greet", (name) => `hello, ${name}`);
  },
});
console.log(`listening as ${server.daemonId} with ${computeFingerprint(identityKeyPair.publicKey)}`);
