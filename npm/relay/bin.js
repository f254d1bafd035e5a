#!/usr/bin/env node
"use strict";
// Runs the relay's binary: that of the platform's package, or in a checkout the one that `npm run build` made. Arguments,
// signals and the exit code pass through.

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

/** The platform's names as the platform packages have them; on Linux npm has installed the one of this libc. */
function triples() {
  const base = `${process.platform}-${process.arch}`;
  return process.platform === "linux" ? [`${base}-gnu`, `${base}-musl`] : [base];
}

/** Where a checkout has its binary; `undefined` for an installed package. */
function built() {
  const root = path.join(__dirname, "..", "..");
  if (!fs.existsSync(path.join(root, "crates", "relay", "Cargo.toml"))) return undefined;
  return path.join(path.resolve(root, process.env.CARGO_TARGET_DIR ?? "target"), "release", "sideband-relay");
}

function find() {
  for (const triple of triples()) {
    try {
      return path.join(path.dirname(require.resolve(`@sideband/relay-${triple}/package.json`)), "sideband-relay");
    } catch (error) {
      if (error?.code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  const binary = built();
  if (binary === undefined) {
    const hint = "reinstall without --omit=optional, or build it from source";
    throw new Error(`there is no package with the binary for ${triples().join(" or ")}; ${hint}`);
  }
  if (!fs.existsSync(binary)) throw new Error(`${binary} is missing; run "npm run build"`);
  return binary;
}

function fail(error) {
  console.error(`sideband-relay: ${error.message}`);
  process.exit(1);
}

function main() {
  const child = spawn(find(), process.argv.slice(2), { stdio: "inherit" });
  child.on("error", fail);
  // A second signal, from a terminal that sends it to the child as well, does no harm to the relay.
  const pass = (signal) => child.kill(signal);
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, pass);
  // npx and npm run this through a shell, which may die of a signal without passing it on.
  const parent = process.ppid;
  const orphaned = () => process.ppid !== parent && child.kill("SIGTERM");
  if (["exec", "run", "run-script"].includes(process.env.npm_command)) setInterval(orphaned, 250).unref();
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    for (const each of signals) process.off(each, pass);
    // Ends the same way; where that is not possible, with the code that a shell would report.
    process.kill(process.pid, signal);
    setTimeout(() => process.exit(128 + os.constants.signals[signal]), 1_000);
  });
}

try {
  main();
} catch (error) {
  fail(error);
}
