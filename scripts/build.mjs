// Builds the addon and the relay, and puts the addon where lib/native.js looks for it. Cargo knows what is up to date:
// a second run takes a moment.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, renameSync, rmSync, statSync } from "node:fs";
import { relative } from "node:path";
import { announce, fail, root } from "./steps.mjs";

/** The platform's name as lib/native.js has it. */
function triple() {
  const base = `${process.platform}-${process.arch}`;
  if (process.platform === "win32") return `${base}-msvc`;
  if (process.platform !== "linux") return base;
  // Without it the report would look up the names of all network peers.
  process.report.excludeNetwork = true;
  return process.report.getReport().header.glibcVersionRuntime === undefined ? `${base}-musl` : `${base}-gnu`;
}

/** Runs cargo in view of the user and gives the files it made or found up to date. */
function build() {
  const packages = ["-p", "sideband-node", "-p", "sideband-relay"];
  const options = ["--release", "--locked", "--message-format", "json-render-diagnostics"];
  const { status, error, stdout } = spawnSync("cargo", ["build", ...options, ...packages], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 64 << 20,
    encoding: "utf8",
  });
  if (error?.code === "ENOENT") fail("Rust is missing: install it from https://rustup.rs and run this command again.");
  if (error !== undefined) fail(`cargo could not be started: ${error.message}`);
  if (status !== 0) fail("cargo build failed");
  return stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line))
    .filter((message) => message.reason === "compiler-artifact");
}

/** Replaces the file in one step: a process that has the old one loaded keeps it whole. */
function install(from, to) {
  const { size, mtimeMs } = statSync(from);
  if (existsSync(to) && statSync(to).size === size && statSync(to).mtimeMs >= mtimeMs) return false;
  const fresh = `${to}.${process.pid}`;
  copyFileSync(from, fresh);
  try {
    renameSync(fresh, to);
  } catch (error) {
    rmSync(fresh);
    fail(`${relative(root, to)} cannot be replaced while a program uses it: ${error.message}`);
  }
  return true;
}

announce("Building the addon and the relay (cargo build --release; the first time takes minutes)");
const artifacts = build();
const addon = artifacts
  .find(({ target }) => target.name === "sideband_node" && target.kind.includes("cdylib"))
  ?.filenames.find((file) => /\.(so|dylib|dll)$/.test(file));
const relay = artifacts.find(({ target, executable }) => target.name === "sideband-relay" && executable)?.executable;
if (addon === undefined || relay === undefined) fail("cargo named no addon, or no relay, among what it built");
const place = `${root}lib/sideband.${triple()}.node`;
const change = install(addon, place) ? "new" : "up to date";
console.log(`  addon  ${relative(root, place)} (${change})\n  relay  ${relative(root, relay)}`);
