// The relay of the soak: a process with a data directory, stopped and killed and started again on the same port.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { createServer } from "node:net";
import { createInterface } from "node:readline";

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/**
 * All sessions come from one address here, as they never do elsewhere: the limits per address are raised, nothing else.
 */
const SETTINGS = [
  "log.format=json",
  "limits.handshakes_per_second=200",
  "limits.requests_per_second=200",
];

export class Relay {
  #child;
  #exited;
  #log;
  #binary;
  #directory;

  /** @param onLine is given every line of the log that is a warning or worse */
  constructor({ binary, directory, onLine }) {
    this.#binary = binary;
    this.#directory = `${directory}/relay`;
    this.#log = createWriteStream(`${directory}/relay.log`);
    this.onLine = onLine;
    this.starts = 0;
  }

  /** Runs one of the binary's admin commands; gives what it printed. */
  #command(...args) {
    return JSON.parse(execFileSync(this.#binary, [...args, "--data-dir", this.#directory, "--json"], { encoding: "utf8" }));
  }

  async prepare() {
    this.port = await freePort();
    this.adminToken = this.#command("admin-token").adminToken;
  }

  addDaemon = (id) => this.#command("daemon", "add", id);

  get pid() {
    return this.#child?.pid;
  }

  async start() {
    const args = ["serve", "--data-dir", this.#directory, "--listen", `127.0.0.1:${this.port}`, "--json"];
    const settings = SETTINGS.flatMap((setting) => ["--set", setting]);
    const child = spawn(this.#binary, [...args, ...settings], { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    this.#exited = once(child, "exit");
    for await (const line of createInterface({ input: child.stdout })) {
      Object.assign(this, JSON.parse(line));
      break;
    }
    if (this.apiUrl === undefined) throw new Error("the relay did not start");
    child.stdout.resume();
    this.starts += 1;
    createInterface({ input: child.stderr }).on("line", (line) => this.#read(line));
  }

  #read(line) {
    this.#log.write(`${line}\n`);
    let entry;
    try {
      entry = JSON.parse(line);
    } catch {
      entry = { level: "ERROR", message: line }; // a panic's, for example
    }
    if (entry.level !== "INFO" && entry.level !== "DEBUG") this.onLine(entry);
  }

  /** Ends it with a signal; gives its exit code. */
  async end(signal) {
    const child = this.#child;
    this.#child = undefined;
    child.kill(signal);
    const [code] = await this.#exited;
    return code;
  }

  /** A request to the admin interface. */
  async admin(method, route, body) {
    const response = await fetch(`http://127.0.0.1:${this.port}/admin/${route}`, {
      method,
      headers: { authorization: `Bearer ${this.adminToken}`, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} /admin/${route}: ${response.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }
}
