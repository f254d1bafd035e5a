// A real relay: the binary of this repository, one process per test file, on a port of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? "target");
const binary = path.join(target, "release", process.platform === "win32" ? "sideband-relay.exe" : "sideband-relay");

/**
 * Starts a relay and its control plane.
 * @param {{port?: number}} [options] a port, to come back on the one that another relay had
 */
export async function startRelay({ port = 0 } = {}) {
  const child = spawn(binary, ["serve", "--dev", "--port", String(port), "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    once(lines, "line"),
    exited.then(([code]) => {
      throw new Error(`the relay ended with ${code}`);
    }),
  ]);
  child.stdout.resume();
  const info = JSON.parse(line);

  async function admin(method, route, body) {
    const response = await fetch(`${info.apiUrl}/admin/${route}`, {
      method,
      headers: { authorization: `Bearer ${info.adminToken}`, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} /admin/${route}: ${response.status} ${await response.text()}`);
    const text = await response.text();
    return text === "" ? undefined : JSON.parse(text);
  }

  return {
    ...info,
    port: Number(new URL(info.apiUrl).port),
    admin,
    /** A daemon of its own for one test, with a user who may reach it. */
    async addDaemon() {
      const { daemonId, apiKey } = await admin("POST", "daemons", {});
      const { accessToken } = await admin("POST", "users", { daemonIds: [daemonId] });
      return { daemonId, apiKey, accessToken };
    },
    sessions: () => admin("GET", "sessions"),
    /** Cuts the daemon's connection without a close frame. */
    cutDaemon: (daemonId) => admin("POST", `daemons/${encodeURIComponent(daemonId)}/disconnect`),
    /** Cuts a client's connection. */
    cutSession: (sessionId) => admin("POST", `sessions/${encodeURIComponent(sessionId)}/disconnect`),
    async stop() {
      child.kill("SIGTERM");
      await exited;
    },
    /** Ends it as a crash would. */
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
