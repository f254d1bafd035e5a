// A relay of this repository as a child process: for the quickstart, the tests, and whoever else needs one.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { root } from "./steps.mjs";

/** Where `npm run build` leaves the relay. */
export function binary() {
  const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? "target");
  return path.join(target, "release", process.platform === "win32" ? "sideband-relay.exe" : "sideband-relay");
}

/**
 * Starts `sideband-relay serve --dev`: relay and control plane on one loopback port, everything in memory. Gives what it
 * printed (`relayUrl`, `apiUrl`, `daemonId`, `apiKey`, `accessToken`, `adminToken`) and means to handle it.
 * @param {{port?: number}} [options] 0 takes any free port
 */
export async function startRelay({ port = 0 } = {}) {
  const child = spawn(binary(), ["serve", "--dev", "--port", String(port), "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    once(lines, "line"),
    exited.then(([code]) => {
      throw new Error(`the relay ended with ${code} before it was ready`);
    }),
  ]);
  const info = JSON.parse(line);

  /** One request to the admin interface. */
  async function admin(method, route, body) {
    const response = await fetch(`${info.apiUrl}/admin/${route}`, {
      method,
      headers: { authorization: `Bearer ${info.adminToken}`, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} /admin/${route}: ${response.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  async function end(signal) {
    child.kill(signal);
    await exited;
  }

  return {
    ...info,
    admin,
    /** Ends it in order. */
    stop: () => end("SIGTERM"),
    /** Ends it as a crash would. */
    kill: () => end("SIGKILL"),
  };
}
