// `@sideband/relay`: finds the binary, and passes arguments, signals and exit codes on.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { binary } from "../scripts/relay.mjs";
import { atEnd } from "./support/ending.mjs";
import { until } from "./support/wait.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const launcher = path.join(root, "npm/relay/bin.js");

/** Runs a command in the repository; ended with the test if it still runs. */
function start(t, command, args, { cwd = root } = {}) {
  const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (errors += text));
  const lines = createInterface({ input: child.stdout });
  const closed = once(child, "close").then(([code, signal]) => ({ code, signal, errors }));
  atEnd(t, async () => {
    child.kill("SIGTERM");
    await closed;
  });
  return { child, closed, first: once(lines, "line").then(([line]) => line) };
}

const isServed = async (url) => (await fetch(url).catch(() => ({}))).ok === true;

test("npx @sideband/relay serve --dev works from the built tree, and ends when npx is ended", async (t) => {
  const { child, closed, first } = start(t, "npx", ["--no-install", "@sideband/relay", "serve", "--dev", "--json"]);
  const { apiUrl } = JSON.parse(await first);
  assert.ok(await isServed(`${apiUrl}/healthz`));
  child.kill("SIGTERM");
  await closed;
  await until(async () => !(await isServed(`${apiUrl}/healthz`)));
});

test("npm run relay starts what the build left, and ends when npm is ended", async (t) => {
  const { scripts } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));
  assert.match(scripts.relay, /^node scripts\/prepare\.mjs && node npm\/relay\/bin\.js /, "no build of its own");
  const script = scripts.relay.replace(/^.*&& /, "");
  const project = fs.mkdtempSync(path.join(os.tmpdir(), "sideband-run-"));
  atEnd(t, () => fs.rmSync(project, { recursive: true }));
  const manifest = { scripts: { relay: `true && ${script.replace("npm/relay/bin.js", launcher)} --json` } };
  fs.writeFileSync(path.join(project, "package.json"), JSON.stringify(manifest));
  const { child, closed, first } = start(t, "npm", ["run", "--silent", "relay"], { cwd: project });
  const { apiUrl } = JSON.parse(await first);
  child.kill("SIGTERM");
  await closed;
  await until(async () => !(await isServed(`${apiUrl}/healthz`)));
});

for (const signal of ["SIGTERM", "SIGINT"]) {
  test(`${signal} ends the relay in order`, async (t) => {
    const { child, closed, first } = start(t, process.execPath, [launcher, "serve", "--dev", "--json"]);
    const { apiUrl } = JSON.parse(await first);
    child.kill(signal);
    assert.equal((await closed).code, 0);
    assert.equal(await isServed(`${apiUrl}/healthz`), false);
  });
}

test("the relay's exit code is the launcher's", async (t) => {
  assert.equal((await start(t, process.execPath, [launcher, "--version"]).closed).code, 0);
  const { code, errors } = await start(t, process.execPath, [launcher, "serve", "--nonsense"]).closed;
  assert.equal(code, 2);
  assert.match(errors, /--nonsense/);
});

test("the binary of the platform's package comes first; without any the error says what to do", async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sideband-relay-"));
  atEnd(t, () => fs.rmSync(folder, { recursive: true }));
  const scope = path.join(folder, "node_modules/@sideband");
  fs.cpSync(path.join(root, "npm/relay"), path.join(scope, "relay"), { recursive: true });
  const installed = path.join(scope, "relay/bin.js");

  const missing = await start(t, process.execPath, [installed, "--version"], { cwd: folder }).closed;
  assert.equal(missing.code, 1);
  assert.match(missing.errors, /no package with the binary for .*reinstall without --omit=optional/);

  const triple = `${process.platform}-${process.arch}${process.platform === "linux" ? "-gnu" : ""}`;
  const platform = path.join(scope, `relay-${triple}`);
  fs.mkdirSync(platform);
  fs.writeFileSync(path.join(platform, "package.json"), "{}");
  fs.copyFileSync(binary(), path.join(platform, "sideband-relay"));
  assert.equal((await start(t, process.execPath, [installed, "--version"], { cwd: folder }).closed).code, 0);
});
