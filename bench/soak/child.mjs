// A Node process of the soak.
import { fork } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export class Child {
  #process;
  #exited;
  #killed = false;
  #waiting = new Map();

  /**
   * @param {string} program the file in processes/
   * @param {(message: object) => void} onMessage
   * @param {(what: string) => void} onFault an end that nobody asked for, or a line on stderr
   */
  constructor(name, program, options, onMessage, onFault) {
    this.name = name;
    const file = fileURLToPath(new URL(`processes/${program}.mjs`, import.meta.url));
    const how = { execArgv: ["--expose-gc"], stdio: ["ignore", "inherit", "pipe", "ipc"] };
    this.#process = fork(file, [JSON.stringify(options)], how);
    this.ready = this.next("ready");
    this.#process.on("message", (message) => {
      if (this.#killed) return;
      this.#waiting.get(message.kind)?.(message);
      this.#waiting.delete(message.kind);
      onMessage(message);
    });
    this.#exited = once(this.#process, "exit").then(([code, signal]) => {
      if (!this.#killed && code !== 0) onFault(`${name} ended with ${code ?? signal}`);
      return code;
    });
    createInterface({ input: this.#process.stderr }).on("line", (line) => onFault(`${name} wrote to stderr: ${line}`));
  }

  get pid() {
    return this.#process.pid;
  }

  /** The next message of a kind. */
  next(kind) {
    return new Promise((resolve) => this.#waiting.set(kind, resolve));
  }

  order(order) {
    this.#process.send({ order });
  }

  async state() {
    const answer = this.next("state");
    this.order("state");
    return answer;
  }

  async kill() {
    this.#killed = true;
    this.#process.kill("SIGKILL");
    await this.#exited;
  }

  /** Stops it for a while, as a busy machine would. */
  async freeze(ms) {
    this.#process.kill("SIGSTOP");
    await sleep(ms);
    this.#process.kill("SIGCONT");
  }

  /** Lets it close everything and end by itself; tells whether it did, within 15 s. */
  async end() {
    this.order("end");
    const code = await Promise.race([this.#exited, sleep(15_000, "late", { ref: false })]);
    if (code === "late") await this.kill();
    return code;
  }
}
