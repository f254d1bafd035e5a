// The steps that more than one script needs: run a command in view of the user, install what is missing.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** Says what happens now. */
export function announce(text) {
  console.log(`\n▸ ${text}`);
}

/** Ends the script with a message for people. */
export function fail(text) {
  console.error(`\n✗ ${text}`);
  process.exit(1);
}

/** Runs a command whose output the user sees; ends the script when it fails. */
export function run(command, args, { env, label = [command, ...args].join(" ") } = {}) {
  // npm is a script of its own on Windows, which only a shell can start.
  const shell = process.platform === "win32" && command === "npm";
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: "inherit", env: env ?? process.env, shell });
  if (error !== undefined) fail(`${label} could not be started: ${error.message}`);
  if (status !== 0) fail(`${label} failed`);
}

/** Whether a command can be started at all. */
export function exists(command, args) {
  return spawnSync(command, args, { cwd: root, stdio: "ignore" }).status === 0;
}

/** Installs the development packages where they are missing, or older than the lock file. */
export function install() {
  const installed = `${root}node_modules/.package-lock.json`;
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(`${root}package-lock.json`).mtimeMs) return;
  announce("Installing the development packages (npm ci)");
  run("npm", ["ci", "--no-audit", "--no-fund"]);
}
