// The documentation is true: every JavaScript block of README.md and docs/ runs against a real relay, or is (a part of) a file
// that does; every TypeScript block compiles; links, commands and examples exist.
//
// The line in front of a block says how:
//   <!-- examples/daemon.mjs -->           the block is this file
//   <!-- part of: examples/daemon.mjs -->  the file holds the block as it is
//   <!-- run: setting -->                  it runs in this setting of docs/settings.mjs, and prints what it says
//   <!-- types -->                         it compiles
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { blocks, pages, promises, read, root } from "./docs/markdown.mjs";
import { startCloud } from "./support/cloud.mjs";
import { atEnd } from "./support/ending.mjs";
import { makeProject, startProgram } from "./support/programs.mjs";
import { startRelay } from "./support/relay.mjs";

/** A block that does not print what it says would be waited for without end. */
const HANGS = 120_000;

const CODE = new Set(["js", "mjs", "cjs", "javascript", "ts", "typescript"]);
const all = pages().flatMap(blocks);
const code = all.filter(({ language }) => CODE.has(language));
const noted = (start) => code.filter(({ note }) => note?.startsWith(start));
const place = ({ page, line }) => `${page}:${line}`;

let relay;
let cloud;
before(async () => {
  relay = await startRelay();
  cloud = await startCloud(relay);
});
after(async () => {
  await cloud.stop();
  await relay.stop();
});

/** The environment that the pages tell their readers to set, and the way to the cloud's own addresses. */
function environment({ daemonId, apiKey, accessToken }) {
  return {
    ...cloud.env,
    SIDEBAND_RELAY_URL: relay.relayUrl,
    SIDEBAND_API_URL: relay.apiUrl,
    SIDEBAND_DAEMON_ID: daemonId,
    SIDEBAND_API_KEY: apiKey,
    SIDEBAND_ACCESS_TOKEN: accessToken,
    ADMIN_TOKEN: relay.adminToken,
  };
}

/** The daemon that the self-hosted programs call by its name. */
let ownDaemon;
async function addOwnDaemon() {
  const daemonId = "my-daemon";
  const { apiKey } = await relay.admin("POST", "daemons", { daemonId });
  const { accessToken } = await relay.admin("POST", "users", { daemonIds: [daemonId] });
  return { daemonId, apiKey, accessToken };
}

/** Starts a program that is killed when the test ends. */
function start(t, args, options) {
  const program = startProgram(args, options);
  atEnd(t, async () => {
    program.child.kill("SIGKILL");
    await program.closed;
  });
  return program;
}

test("every block of code says how it is held to the truth", () => {
  assert.deepEqual(code.filter(({ note }) => note === undefined).map(place), []);
  const known = /^(run: .+|part of: .+|types|\S+\.(mjs|cjs|js|ts))$/;
  assert.deepEqual(code.filter(({ note }) => !known.test(note)).map(place), []);
});

for (const block of noted("run: ")) {
  test(`${place(block)} runs`, { timeout: HANGS }, async (t) => {
    const setting = block.note.slice("run: ".length);
    const account = setting.startsWith("self-hosted") ? (ownDaemon ??= await addOwnDaemon()) : await relay.addDaemon();
    const project = makeProject(t);
    project.write("block.mjs", block.text);
    const runner = path.join(root, "__test__/docs/run.mjs");
    const program = start(t, [runner, setting, path.join(project.folder, "block.mjs")], {
      cwd: project.folder,
      env: environment(account),
    });
    for (const line of ["the block is done", ...promises(block.text)]) await program.line(line);
    program.child.kill("SIGKILL");
    const { errors } = await program.closed;
    assert.equal(errors, "");
  });
}

test("blocks that are files, or parts of files, are so to the letter", () => {
  for (const block of code) {
    if (/^\S+\.\w+$/.test(block.note)) assert.equal(block.text, read(block.note), place(block));
    const part = /^part of: (.+)$/.exec(block.note)?.[1];
    if (part !== undefined) assert.ok(read(part).includes(block.text), `${place(block)} is not in ${part}`);
  }
});

test("the TypeScript blocks compile", (t) => {
  const project = makeProject(t);
  const files = noted("types").map(({ text }, index) => {
    const name = `block-${index}.mts`;
    // An import or export makes a module of it, with names of its own.
    project.write(name, `export {};\n${text}`);
    return name;
  });
  assert.ok(files.length > 0);
  fs.copyFileSync(path.join(root, "__test__/docs/ambient.d.ts"), path.join(project.folder, "ambient.d.ts"));
  fs.symlinkSync(path.join(root, "node_modules/@types"), path.join(project.folder, "node_modules/@types"), "junction");
  const compilerOptions = { noEmit: true, strict: true, target: "es2022", module: "node16", types: ["node"] };
  project.write("tsconfig.json", JSON.stringify({ compilerOptions, files: [...files, "ambient.d.ts"] }));
  const tsc = path.join(root, "node_modules/typescript/bin/tsc");
  const { stdout, status } = spawnSync(process.execPath, [tsc, "-p", project.folder], { encoding: "utf8" });
  assert.equal(status, 0, stdout);
});

test("links lead somewhere, and commands exist", () => {
  const { scripts } = JSON.parse(read("package.json"));
  for (const page of pages()) {
    const text = read(page);
    const prose = text.replace(/^```.*?^```/gms, "");
    for (const [, target, anchor] of prose.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)) {
      const file = target === "" ? page : path.posix.join(path.posix.dirname(page), target);
      assert.ok(fs.existsSync(path.join(root, file)), `${page}: ${file} is not there`);
      if (anchor !== undefined) assert.ok(anchors(read(file)).has(anchor), `${page}: ${file} has no #${anchor}`);
    }
    for (const [, script] of text.matchAll(/npm run ([\w:-]+)/g)) assert.ok(script in scripts, `${page}: npm run ${script}`);
    for (const [, file] of text.matchAll(/node ((?:examples|__test__)\/\S+?\.mjs)/g)) {
      assert.ok(fs.existsSync(path.join(root, file)), `${page}: ${file} is not there`);
    }
  }
});

test("the files that the architecture page names are there", () => {
  const homes = ["", "crates/", "crates/engine/src/"];
  const named = [...read("docs/architecture.md").matchAll(/`([\w.-]+\/[\w./-]*|[\w-]+\.(?:rs|js|d\.ts))`/g)];
  assert.ok(named.length > 30);
  for (const [, file] of named) {
    assert.ok(homes.some((home) => fs.existsSync(path.join(root, home, file))), `${file} is not there`);
  }
});

/** The anchors that a page's headings have. */
function anchors(text) {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading);
  return new Set(headings.map((heading) => slug(heading)));
}

const slug = (heading) => heading.toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-");

/** Starts one of the examples, as its page says, in a folder of its own. */
function startExample(t, folder, name, { env, args = [] } = {}) {
  return start(t, [path.join(root, "examples", name), ...args], { cwd: folder, env });
}

/** What an example prints that ends by itself, and well. */
async function runExample(t, folder, name, options = {}) {
  const program = startExample(t, folder, name, options);
  program.child.stdin.end(options.input);
  const { code: status, lines, errors } = await program.closed;
  assert.equal(status, options.status ?? 0, errors);
  return lines;
}

/** A folder and an environment for examples. */
async function makeWorld(t) {
  const { folder } = makeProject(t);
  return { folder, env: environment(await relay.addDaemon()) };
}

const examples = {
  async "daemon.mjs, client.mjs"(t) {
    const { folder, env } = await makeWorld(t);
    const daemon = startExample(t, folder, "daemon.mjs", { env });
    await daemon.line(`listening as ${env.SIDEBAND_DAEMON_ID}`);
    assert.deepEqual(await runExample(t, folder, "client.mjs", { env }), ["hello, you"]);
    await daemon.line("a client notes: it works");
  },

  async "file-store/daemon.mjs, file-store/client.mjs"(t) {
    const { folder, env } = await makeWorld(t);
    const fingerprints = [];
    for (const greeting of ["this daemon is new", "this daemon is known"]) {
      const daemon = startExample(t, folder, "file-store/daemon.mjs", { env });
      fingerprints.push(await daemon.line(`listening as ${env.SIDEBAND_DAEMON_ID} with `));
      const lines = await runExample(t, folder, "file-store/client.mjs", { env });
      assert.ok(lines[0].startsWith(greeting), lines[0]);
      assert.equal(lines[1], "hello, you");
      daemon.child.kill();
      await daemon.closed;
    }
    assert.match(fingerprints[0], /^SHA256:/);
    assert.equal(fingerprints[0], fingerprints[1]);
  },

  async "prompt-client.mjs"(t) {
    const { folder, env } = await makeWorld(t);
    let daemon = startExample(t, folder, "daemon.mjs", { env });
    await daemon.line("listening");
    const run = (input, status) => runExample(t, folder, "prompt-client.mjs", { env, input, status });
    const asks = /^This daemon is new\. It shows SHA256:[0-9A-F:]{95}\./;
    assert.match((await run("no\n", 1)).join("\n"), asks);
    assert.match((await run("yes\n", 0)).join("\n"), /^This daemon is new\..*hello, you$/s);
    assert.deepEqual(await run("", 0), ["hello, you"]);
    daemon.child.kill();
    await daemon.closed;
    // The README's daemon has another identity each time.
    daemon = startExample(t, folder, "daemon.mjs", { env });
    await daemon.line("listening");
    assert.match((await run("no\n", 1)).join("\n"), /^This daemon had SHA256:.* and now shows SHA256:/);
  },

  async "self-hosted-daemon.mjs, self-hosted-client.mjs"(t) {
    const { folder, env } = await makeWorld(t);
    const daemon = startExample(t, folder, "self-hosted-daemon.mjs", { env });
    assert.equal(await daemon.line("listening at "), relay.relayUrl);
    const fingerprint = `SHA256:${await daemon.line("SHA256:")}`;
    const run = (args, status) => runExample(t, folder, "self-hosted-client.mjs", { env, args, status });
    assert.deepEqual(await run([fingerprint], 0), ["hello, you"]);
    assert.deepEqual(await run(["SHA256:00"], 1), []);
  },

  async "plain-server.mjs, plain-client.mjs"(t) {
    const { folder, env } = await makeWorld(t);
    const server = startExample(t, folder, "plain-server.mjs", { env, args: ["0"] });
    const address = await server.line("listening at ");
    assert.deepEqual(await runExample(t, folder, "plain-client.mjs", { env, args: [address] }), ["hello, you"]);
  },
};

test("every example has a test here", () => {
  const files = fs.readdirSync(path.join(root, "examples"), { recursive: true }).map((name) => name.replaceAll("\\", "/"));
  const programs = files.filter((name) => /\.[mc]?js$/.test(name) && !name.startsWith("quickstart/"));
  const tested = Object.keys(examples).flatMap((names) => names.split(", "));
  assert.deepEqual(programs.sort(), tested.sort());
});

for (const [names, run] of Object.entries(examples)) test(`examples: ${names}`, run);
