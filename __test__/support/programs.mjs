// Programs as their users run them: files in a folder of their own, with the packages in its node_modules, started as
// child processes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { atEnd } from "./ending.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A folder with the three packages installed; removed when the test ends. */
export function makeProject(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sideband-"));
  atEnd(t, () => fs.rmSync(folder, { recursive: true, force: true }));
  const scope = path.join(folder, "node_modules", "@sideband");
  fs.mkdirSync(scope, { recursive: true });
  fs.symlinkSync(root, path.join(scope, "cloud"), "junction");
  // The facades are copied, not linked: they find @sideband/cloud beside them, as an installed package does.
  for (const name of ["peer", "secure-relay"]) {
    fs.cpSync(path.join(root, "npm", name), path.join(scope, name), { recursive: true });
  }
  return {
    folder,
    write(name, text) {
      fs.writeFileSync(path.join(folder, name), text);
    },
    read: (name) => fs.readFileSync(path.join(folder, name), "utf8"),
    /** Starts a program of the folder. */
    start(name, { env = {}, args = [], nodeArgs = [] } = {}) {
      return startProgram([...nodeArgs, path.join(folder, name), ...args], { cwd: folder, env });
    },
  };
}

/** A Node process whose output lines can be waited for. */
export function startProgram(args, { cwd, env = {} }) {
  const child = spawn(process.execPath, args, {
    cwd,
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const lines = [];
  const listeners = new Set();
  let errors = "";
  let ended = false;
  const wake = () => listeners.forEach((listener) => listener());
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line);
    wake();
  });
  child.stderr.setEncoding("utf8").on("data", (text) => (errors += text));
  // "close", unlike "exit", comes after all output.
  const closed = once(child, "close").then(([code, signal]) => {
    ended = true;
    wake();
    return { code, signal, lines, errors };
  });
  return {
    child,
    lines,
    closed,
    get running() {
      return !ended;
    },
    /** Tells the program something on its standard input. */
    say(text) {
      child.stdin.write(`${text}\n`);
    },
    /** The first line that starts with `start`, without that. */
    line(start) {
      return new Promise((resolve, reject) => {
        const look = () => {
          const found = lines.find((line) => line.startsWith(start));
          if (found === undefined && !ended) return;
          listeners.delete(look);
          if (found !== undefined) resolve(found.slice(start.length));
          else reject(new Error(`the program ended without "${start}…"\n${lines.join("\n")}\n${errors}`));
        };
        listeners.add(look);
        look();
      });
    },
  };
}

/** The daemon of children/daemon.mjs, listening; ended with the test if it still runs. */
export async function startDaemonProgram(t, relay, account) {
  const program = startProgram([fileURLToPath(new URL("../children/daemon.mjs", import.meta.url))], {
    cwd: root,
    env: { API_KEY: account.apiKey, API_URL: relay.apiUrl, RELAY_URL: relay.relayUrl },
  });
  atEnd(t, async () => {
    program.child.kill("SIGKILL");
    await program.closed;
  });
  await program.line("listening");
  return program;
}
