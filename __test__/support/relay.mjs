// A real relay, one process per test file, and what tests do with it.
import { startRelay as start } from "../../scripts/relay.mjs";
import { until } from "./wait.mjs";

export async function startRelay(options) {
  const relay = await start(options);
  const { admin } = relay;
  return {
    ...relay,
    port: Number(new URL(relay.apiUrl).port),
    /** A daemon of its own for one test, with a user who may reach it. */
    async addDaemon() {
      const { daemonId, apiKey } = await admin("POST", "daemons", {});
      const { accessToken } = await admin("POST", "users", { daemonIds: [daemonId] });
      return { daemonId, apiKey, accessToken };
    },
    /** Resolves when the relay knows that the daemon is gone: a close frame takes its time. */
    async daemonLeft(daemonId) {
      const isGone = (daemon) => daemon.daemonId === daemonId && !daemon.online;
      await until(async () => (await admin("GET", "daemons")).some(isGone));
    },
    sessions: () => admin("GET", "sessions"),
    /** Cuts the daemon's connection without a close frame. */
    cutDaemon: (daemonId) => admin("POST", `daemons/${encodeURIComponent(daemonId)}/disconnect`),
    /** Cuts a client's connection. */
    cutSession: (sessionId) => admin("POST", `sessions/${encodeURIComponent(sessionId)}/disconnect`),
  };
}
