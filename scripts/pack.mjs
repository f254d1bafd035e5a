// `npm run pack [-- FOLDER]`: the packages as they are published, into dist/ or that folder: `@sideband/cloud`, its facades, `@sideband/relay`,
// and what was built on this machine, the addon and the relay, as its platform's packages. A release packs each platform on a machine of its own.
import { cpSync, copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { binary } from "./relay.mjs";
import { announce, fail, root } from "./steps.mjs";
import "./prepare.mjs";

/** Where addon and relay are built and tested; users of other platforms build from source. */
const PLATFORMS = {
  "linux-x64-gnu": { os: ["linux"], cpu: ["x64"], libc: ["glibc"] },
  "linux-arm64-gnu": { os: ["linux"], cpu: ["arm64"], libc: ["glibc"] },
  "linux-x64-musl": { os: ["linux"], cpu: ["x64"], libc: ["musl"] },
  "linux-arm64-musl": { os: ["linux"], cpu: ["arm64"], libc: ["musl"] },
  "darwin-x64": { os: ["darwin"], cpu: ["x64"] },
  "darwin-arm64": { os: ["darwin"], cpu: ["arm64"] },
};

const dist = `${resolve(process.argv[2] ?? `${root}dist`)}/`;
const manifest = JSON.parse(readFileSync(`${root}package.json`, "utf8"));

/** Makes a package's tarball from a folder that holds just what belongs in it. */
function pack(folder) {
  const { status, stdout, stderr } = spawnSync("npm", ["pack", "--json", "--pack-destination", dist], {
    cwd: folder,
    encoding: "utf8",
  });
  if (status !== 0) fail(`npm pack failed in ${folder}: ${stderr}`);
  const [{ filename, size }] = JSON.parse(stdout);
  console.log(`  ${filename} (${Math.ceil(size / 1024)} KB)`);
}

/** An empty folder to put a package together in. */
function stage(name) {
  const folder = `${dist}stage/${name}`;
  mkdirSync(folder, { recursive: true });
  return folder;
}

const writeManifest = (folder, content) =>
  writeFileSync(`${folder}/package.json`, `${JSON.stringify(content, undefined, 2)}\n`);

const readManifest = (folder) => JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));

/** The platforms' packages of a package, as its optional dependencies. */
const platformsOf = ({ name, version }) =>
  Object.fromEntries(Object.keys(PLATFORMS).map((triple) => [`${name}-${triple}`, version]));

/** The package itself. */
function packMain() {
  const folder = stage("cloud");
  const { scripts: _scripts, devDependencies: _development, ...published } = manifest;
  for (const name of ["index.js", "index.mjs", "index.d.ts", "index.d.mts", "README.md", "LICENSE"]) {
    copyFileSync(`${root}${name}`, `${folder}/${name}`);
  }
  cpSync(`${root}lib`, `${folder}/lib`, { recursive: true, filter: (source) => !source.endsWith(".node") });
  writeManifest(folder, { ...published, optionalDependencies: platformsOf(manifest) });
  pack(folder);
}

/** The relay's package, which finds the binary. */
function packRelay() {
  const folder = stage("relay");
  cpSync(`${root}npm/relay`, folder, { recursive: true });
  copyFileSync(`${root}LICENSE`, `${folder}/LICENSE`);
  const published = readManifest(folder);
  writeManifest(folder, { ...published, optionalDependencies: platformsOf(published) });
  pack(folder);
}

/** A file built on this machine, as the package of a package for this platform. */
function packPlatform({ of, triple, from, file, what, strip, more }) {
  const folder = stage(`${file}-${triple}`);
  copyFileSync(from, `${folder}/${file}`);
  copyFileSync(`${root}LICENSE`, `${folder}/LICENSE`);
  // Debug information is for those who build from source; without `strip` the package is larger, and good.
  spawnSync("strip", [process.platform === "darwin" ? "-S" : strip, `${folder}/${file}`]);
  const { version, license, engines } = manifest;
  const name = `${of}-${triple}`;
  const description = `${what} of ${of} for ${triple}`;
  writeManifest(folder, { name, version, description, license, engines, ...PLATFORMS[triple], ...more });
  pack(folder);
}

function packPlatforms() {
  const addon = readdirSync(`${root}lib`).find((name) => /^sideband\..+\.node$/.test(name));
  const triple = addon?.split(".")[1];
  if (!(triple in PLATFORMS)) fail(`there is no package for the platform ${triple}`);
  packPlatform({
    of: manifest.name,
    triple,
    from: `${root}lib/${addon}`,
    file: "sideband.node",
    what: "The addon",
    strip: "--strip-debug",
    more: { main: "sideband.node" },
  });
  packPlatform({
    of: "@sideband/relay",
    triple,
    from: binary(),
    file: "sideband-relay",
    what: "The binary",
    strip: "--strip-all",
    more: { files: ["sideband-relay"] },
  });
}

announce("Packing");
mkdirSync(dist, { recursive: true });
for (const name of readdirSync(dist)) if (name.endsWith(".tgz")) rmSync(dist + name);
packMain();
packRelay();
packPlatforms();
for (const facade of ["peer", "secure-relay"]) pack(`${root}npm/${facade}`);
rmSync(`${dist}stage`, { recursive: true });
