// Starts the children of a bench: the relay's binary, and Node processes that answer over IPC.
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { binary } from "../scripts/relay.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** A relay on an ephemeral port, with its URLs and credentials in `info`. */
export async function startRelay() {
  const child = spawn(binary(), ["serve", "--dev", "--port", "0", "--json"], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout });
  const first = once(lines, "line").then(([line]) => JSON.parse(line));
  const failed = once(child, "exit").then(([code]) => {
    throw new Error(`the relay ended with ${code} before it was ready; was it built (npm run build)?`);
  });
  const info = await Promise.race([first, failed]);
  failed.catch(() => {});
  return { info, stop: () => stop(child) };
}

/** A Node process of `processes/`; `ask` sends it a question and waits for its answer. */
export async function startProcess(name, options = {}) {
  const child = fork(here(`./processes/${name}.mjs`), [JSON.stringify(options)]);
  let next = 0;
  const waiting = new Map();
  const answers = new Promise((resolve, reject) => {
    child.on("message", (message) => {
      if (message.ready) return resolve(message.ready);
      const { accept, refuse } = waiting.get(message.id);
      waiting.delete(message.id);
      return message.error === undefined ? accept(message.answer) : refuse(new Error(`${name}: ${message.error}`));
    });
    child.once("exit", (code) => {
      const error = new Error(`the bench process "${name}" ended with ${code}`);
      reject(error);
      for (const { refuse } of waiting.values()) refuse(error);
    });
  });
  const ready = await answers;
  const ask = (question, parameters = {}) =>
    new Promise((accept, refuse) => {
      const id = (next += 1);
      waiting.set(id, { accept, refuse });
      child.send({ id, question, parameters });
    });
  return { ready, ask, stop: () => stop(child) };
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  await gone;
}
