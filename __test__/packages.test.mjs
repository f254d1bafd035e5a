// The packages as installed: what they contain, and that the facades are the same API under its original names.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { makeProject } from "./support/programs.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const manifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));

/** The files that a manifest's exports name. */
function exportedFiles({ exports, main, types }) {
  const files = new Set([main, types]);
  const visit = (value) => (typeof value === "string" ? files.add(value) : Object.values(value).forEach(visit));
  visit(exports);
  return [...files];
}

test("the manifests agree with each other, and name files that exist", () => {
  const cargo = fs.readFileSync(path.join(root, "Cargo.toml"), "utf8");
  assert.equal(/\[workspace\.package\]\nversion = "([^"]+)"/.exec(cargo)[1], manifest.version);
  for (const folder of ["", "npm/peer", "npm/secure-relay"]) {
    const found = JSON.parse(fs.readFileSync(path.join(root, folder, "package.json"), "utf8"));
    assert.equal(found.version, manifest.version);
    assert.equal(found.license, "Apache-2.0");
    if (folder !== "") assert.deepEqual(found.dependencies, { "@sideband/cloud": manifest.version });
    for (const file of exportedFiles(found))
      assert.ok(fs.existsSync(path.join(root, folder, file)), `${folder} ${file}`);
  }
  assert.equal(manifest.dependencies, undefined, "no runtime dependencies");
  assert.equal(manifest.scripts.postinstall, undefined);
});

test("the lock file names no registry", () => {
  assert.doesNotMatch(fs.readFileSync(path.join(root, "package-lock.json"), "utf8"), /"resolved": "(?!npm\/)|https?:\/\/registry/);
});

const PROGRAM = `
const { PeerError, createPeer } = peer;
console.log(JSON.stringify([
  PeerError === cloud.PeerError,
  listen === server.listen,
  relayClientNegotiator === sbrp.relayClientNegotiator,
  generateIdentityKeyPair === cloud.generateIdentityKeyPair,
  SbrpError === secureRelay.SbrpError,
  typeof createPeer,
]));
`;

test("the facades give the very same functions and classes, to ESM and CommonJS", async (t) => {
  const project = makeProject(t);
  project.write(
    "program.mjs",
    `import * as cloud from "@sideband/cloud";
import * as server from "@sideband/cloud/peer/server";
import * as sbrp from "@sideband/cloud/peer/sbrp";
import * as secureRelay from "@sideband/cloud/secure-relay";
import * as peer from "@sideband/peer";
import { listen } from "@sideband/peer/server";
import { relayClientNegotiator } from "@sideband/peer/sbrp";
import { SbrpError, generateIdentityKeyPair } from "@sideband/secure-relay";
${PROGRAM}`,
  );
  project.write(
    "program.cjs",
    `const cloud = require("@sideband/cloud");
const server = require("@sideband/cloud/peer/server");
const sbrp = require("@sideband/cloud/peer/sbrp");
const secureRelay = require("@sideband/cloud/secure-relay");
const peer = require("@sideband/peer");
const { listen } = require("@sideband/peer/server");
const { relayClientNegotiator } = require("@sideband/peer/sbrp");
const { SbrpError, generateIdentityKeyPair } = require("@sideband/secure-relay");
${PROGRAM}`,
  );
  for (const name of ["program.mjs", "program.cjs"]) {
    const { code, lines, errors } = await project.start(name).closed;
    assert.equal(code, 0, errors);
    assert.equal(lines[0], '[true,true,true,true,true,"function"]');
  }
});

test("the facades have the types too", (t) => {
  const project = makeProject(t);
  project.write(
    "program.mts",
    `import { createPeer, type Peer } from "@sideband/peer";
import { listen } from "@sideband/peer/server";
import { relayClientNegotiator, relayDaemonNegotiator, type IdentityKeyStore } from "@sideband/peer/sbrp";
import { asDaemonId, generateIdentityKeyPair } from "@sideband/secure-relay";
declare const identityKeyStore: IdentityKeyStore;
const daemonId = asDaemonId("d");
const peer: Peer = createPeer({
  endpoint: "ws://host",
  negotiator: relayClientNegotiator({ daemonId, sessionToken: "t", identityKeyStore, trustPolicy: "auto" }),
});
await peer.connect();
await listen({
  endpoint: "ws://host",
  negotiator: relayDaemonNegotiator({ daemonId, identityKeyPair: generateIdentityKeyPair() }),
  onConnection() {},
});
// @ts-expect-error no endpoint
createPeer({});
`,
  );
  for (const [module, moduleResolution] of [
    ["node16", "node16"],
    ["esnext", "bundler"],
  ]) {
    const compilerOptions = { noEmit: true, strict: true, target: "es2022", types: [], module, moduleResolution };
    project.write("tsconfig.json", JSON.stringify({ compilerOptions, files: ["program.mts"] }));
    // Throws with the compiler's output where it refuses the program.
    execFileSync(process.execPath, [path.join(root, "node_modules/typescript/bin/tsc"), "-p", project.folder], {
      encoding: "utf8",
    });
  }
});
