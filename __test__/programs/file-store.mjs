import { connect } from "@sideband/cloud";
import * as fs from "node:fs/promises";

const identityKeyStore = {
  async get(daemonId) {
    try {
      const data = await fs.readFile(`.sideband/keys/${daemonId}`, null);
      return new Uint8Array(data);
    } catch {
      return null;
    }
  },
  async set(daemonId, publicKey) {
    await fs.mkdir(".sideband/keys", { recursive: true });
    await fs.writeFile(`.sideband/keys/${daemonId}`, publicKey);
  },
  async delete(daemonId) {
    await fs.unlink(`.sideband/keys/${daemonId}`).catch(() => {});
  },
};

const peer = connect({
  daemonId: process.env.SIDEBAND_DAEMON_ID,
  getAccessToken: () => process.env.ACCESS_TOKEN,
  identityKeyStore,
  trustPolicy: process.env.TRUST_POLICY,
});

await peer.whenReady();
console.log(await peer.rpc.call("ping"));
await peer.disconnect();
