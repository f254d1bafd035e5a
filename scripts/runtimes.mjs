// `npm run test:runtimes [-- --only bun,deno] [-- --folder FOLDER]`: every suite on every Node this package supports, and
// on Bun and Deno a smoke program, as a user would install and run it, and the suites that need no Node of their own. The
// runtimes come from npm, into a folder that is removed, or into FOLDER, where the next run finds them.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { startRelay } from "./relay.mjs";
import { announce, fail, root, run } from "./steps.mjs";
import "./prepare.mjs";

const NODES = ["20", "22", "24", "latest"];

/** What each runtime needs to run a program, and to run a suite. */
const OTHERS = {
  bun: {
    program: [],
    // JavaScriptCore takes seconds to refuse what is nested 100,000 deep.
    suite: (file) => ["test", "--timeout", "60000", `./${file}`],
  },
  deno: {
    // The addon needs --allow-ffi and nothing else; the smoke program itself reads variables and fetches.
    program: ["run", "--no-prompt", "--allow-ffi", "--allow-env", "--allow-net"],
    suite: (file) => ["test", "--allow-all", "--no-check", "--node-modules-dir=manual", file],
  },
};

/** Suites that start no programs with Node's own options, and build nothing. */
const PORTABLE = [
  ...["calls", "copies", "direct", "errors", "events", "hold", "identity", "idle", "lifecycle", "listen", "options"],
  ...["order", "pause", "quick-connect", "reconnect", "self-hosted", "stores", "tls", "trust"],
  ...["process-blocked", "process-callbacks", "process-environments", "process-exit", "process-panics"],
  "process-unanswered",
];

/** How the smoke program may end, and with which code. */
const ENDS = { close: 0, unref: 0, exit: 7 };

const STEPS = ["listen", "connect", "call", "events", "pause", "refuse", "direct"];

const { values: options } = parseArgs({ options: { only: { type: "string" }, folder: { type: "string" } } });
const folder = options.folder === undefined ? mkdtempSync(join(tmpdir(), "sideband-runtimes-")) : resolve(options.folder);
const wanted = options.only?.split(",");
const isWanted = (name) => wanted === undefined || wanted.includes(name);
const results = [];
let failed = false;

/** Installs packages into a folder of their own, where they are not there yet. */
function install(name, packages, ...flags) {
  const place = join(folder, name);
  if (!existsSync(join(place, "node_modules"))) {
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, "package.json"), JSON.stringify({ private: true, type: "module" }));
    const command = ["install", "--prefix", place, "--no-audit", "--no-fund", "--loglevel=error", ...flags, ...packages];
    run("npm", command, { label: `npm install of ${name}` });
  }
  return place;
}

const executable = (place, name) =>
  join(place, "node_modules", ".bin", process.platform === "win32" ? `${name}.cmd` : name);

const versionOf = (command) => spawnSync(command, ["--version"], { encoding: "utf8" }).stdout.split("\n")[0].trim();

/** Runs a command quietly; what it printed is shown where it failed. */
function check(what, command, args, env) {
  const started = Date.now();
  const { status, signal, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: "utf8",
    maxBuffer: 256 << 20,
  });
  note(what, status === 0, started, `${stdout}\n${stderr}\nended with ${status ?? signal}`);
}

function note(what, isGood, started, output) {
  results.push({ what, isGood });
  console.log(`  ${isGood ? "✓" : "✗"} ${what} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  if (isGood) return;
  failed = true;
  console.error(output);
}

/** The package as npm installs it, with the smoke program beside it. */
function makeProject() {
  const packages = join(folder, "packages");
  rmSync(join(folder, "project"), { recursive: true, force: true });
  run(process.execPath, ["scripts/pack.mjs", packages]);
  const tarballs = readdirSync(packages).map((name) => join(packages, name));
  const project = install("project", tarballs, "--offline", "--no-package-lock");
  copyFileSync(`${root}__test__/runtimes/smoke.mjs`, join(project, "smoke.mjs"));
  return project;
}

async function smoke(name, command, args, project) {
  const relay = await startRelay();
  for (const [end, expected] of Object.entries(ENDS)) {
    const started = Date.now();
    const child = spawn(command, [...args, "smoke.mjs"], {
      cwd: project,
      env: {
        ...process.env,
        API_URL: relay.apiUrl,
        RELAY_URL: relay.relayUrl,
        API_KEY: relay.apiKey,
        DAEMON_ID: relay.daemonId,
        ACCESS_TOKEN: relay.accessToken,
        ADMIN_TOKEN: relay.adminToken,
        END: end,
      },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
    const [code] = await once(child, "close");
    const steps = output.match(/(?<=^ok )\w+/gm) ?? [];
    const isComplete = [...STEPS, ...(end === "exit" ? [] : ["close"])].every((step) => steps.includes(step));
    note(`${name}: the smoke program, ending by ${end}`, code === expected && isComplete, started, output);
  }
  await relay.stop();
}

mkdirSync(folder, { recursive: true });
for (const release of NODES) {
  if (!isWanted("node") && !isWanted(`node@${release}`)) continue;
  const node = executable(install(`node-${release}`, [`node@${release}`]), "node");
  announce(`Node ${versionOf(node)}`);
  const suites = readdirSync(`${root}__test__`).filter((file) => file.endsWith(".test.mjs"));
  check(`Node ${release}: every suite`, node, ["--test", ...suites.map((file) => `__test__/${file}`)]);
}
const others = Object.entries(OTHERS).filter(([name]) => isWanted(name));
const project = others.length > 0 ? makeProject() : undefined;
for (const [name, { program, suite }] of others) {
  const command = executable(install(name, [`${name}@latest`]), name);
  announce(versionOf(command).includes(name) ? versionOf(command) : `${name} ${versionOf(command)}`);
  await smoke(name, command, program, project);
  for (const file of PORTABLE) {
    const env = { SIDEBAND_TEST_HOOKS: file === "process-panics" ? "1" : undefined };
    check(`${name}: ${file}`, command, suite(`__test__/${file}.test.mjs`), env);
  }
}
if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
if (results.length === 0) fail(`--only takes node, ${NODES.map((release) => `node@${release}`).join(", ")}, bun and deno`);
if (failed) fail(`failed: ${results.filter(({ isGood }) => !isGood).map(({ what }) => what).join("; ")}`);
