// The packages as a user installs them: from tarballs, in a project of his own, with addon and relay in their platform's packages.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

const PROGRAM = `
import { createRequire } from "node:module";
import { computeFingerprint } from "@sideband/secure-relay";
import { generateIdentityKeyPair, PeerError } from "@sideband/cloud";
import { PeerError as Original } from "@sideband/peer";

const { publicKey } = generateIdentityKeyPair();
const addons = Object.keys(createRequire(import.meta.url).cache).filter((file) => file.endsWith(".node"));
console.log(JSON.stringify({ fingerprint: computeFingerprint(publicKey), same: PeerError === Original, addons }));
`;

test("the packed packages install offline, and find the addon and the relay in the platform's packages", (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sideband-install-"));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const packages = path.join(folder, "packages");
  const project = path.join(folder, "project");
  fs.mkdirSync(project);
  execFileSync(process.execPath, [path.join(root, "scripts/pack.mjs"), packages], { stdio: "pipe" });
  const tarballs = fs.readdirSync(packages).map((name) => path.join(packages, name));
  assert.equal(tarballs.length, 6);

  fs.writeFileSync(path.join(project, "package.json"), '{ "name": "project", "private": true, "type": "module" }');
  const install = ["install", "--offline", "--no-audit", "--no-fund", "--no-package-lock", ...tarballs];
  execFileSync("npm", install, { cwd: project, stdio: "pipe", shell: process.platform === "win32" });
  fs.writeFileSync(path.join(project, "program.js"), PROGRAM);
  const { fingerprint, same, addons } = JSON.parse(execFileSync(process.execPath, ["program.js"], { cwd: project }));
  assert.match(fingerprint, /^SHA256:([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  assert.ok(same, "one class, whatever the import line");
  assert.equal(addons.length, 1);
  assert.ok(fs.realpathSync(addons[0]).startsWith(fs.realpathSync(path.join(project, "node_modules"))), addons[0]);

  const { version } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));
  const relay = execFileSync("npx", ["--no-install", "@sideband/relay", "--version"], { cwd: project, encoding: "utf8" });
  assert.equal(relay.trim(), `sideband-relay ${version}`);
});
