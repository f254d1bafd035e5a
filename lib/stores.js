"use strict";
// Where clients keep the identity keys of the daemons that they trust.

const { createHash, randomBytes } = require("node:crypto");
const fs = require("node:fs/promises");
const path = require("node:path");
const { types } = require("node:util");
const { KEY_BYTES, asDaemonId } = require("./identity.js");

function checkKey(publicKey) {
  if (!types.isUint8Array(publicKey) || publicKey.length !== KEY_BYTES) {
    throw new TypeError(`publicKey must be a Uint8Array of ${KEY_BYTES} bytes`);
  }
}

/** Keeps keys as long as the process lives. */
class MemoryIdentityKeyStore {
  #keys = new Map();

  async get(daemonId) {
    const key = this.#keys.get(asDaemonId(daemonId));
    return key === undefined ? null : Uint8Array.from(key);
  }

  async set(daemonId, publicKey) {
    checkKey(publicKey);
    this.#keys.set(asDaemonId(daemonId), Uint8Array.from(publicKey));
  }

  async delete(daemonId) {
    this.#keys.delete(asDaemonId(daemonId));
  }

  async list() {
    return [...this.#keys.keys()];
  }
}

/**
 * Keeps each daemon's key in a file of its own. The name is a hash of the id, so that no id leads out of the directory,
 * two never share a file where the file system ignores case, and none is too long; the id itself is in the file.
 */
class FileIdentityKeyStore {
  #dir;

  constructor(dir) {
    this.#dir = dir;
  }

  async get(daemonId) {
    const file = this.#file(daemonId);
    let text;
    try {
      text = await fs.readFile(file, "utf8");
    } catch (error) {
      if (error.code === "ENOENT") return null;
      throw error;
    }
    const pin = parsePin(text);
    if (pin === undefined || pin.daemonId !== daemonId) throw new Error(`${file} holds no key of this daemon`);
    return pin.publicKey;
  }

  async set(daemonId, publicKey) {
    checkKey(publicKey);
    const file = this.#file(daemonId);
    const text = JSON.stringify({ daemonId, publicKey: Buffer.from(publicKey).toString("base64") });
    await this.#makeDirectory();
    const temporary = `${file}.${randomBytes(8).toString("hex")}.tmp`;
    try {
      await writeDurably(temporary, `${text}\n`);
      await fs.rename(temporary, file);
    } catch (error) {
      await fs.rm(temporary, { force: true });
      throw error;
    }
  }

  async delete(daemonId) {
    await fs.rm(this.#file(daemonId), { force: true });
  }

  async list() {
    let names;
    try {
      names = await fs.readdir(this.#dir);
    } catch (error) {
      if (error.code === "ENOENT") return [];
      throw error;
    }
    const ids = [];
    for (const name of names.filter((entry) => entry.endsWith(".json"))) {
      const pin = parsePin(await fs.readFile(path.join(this.#dir, name), "utf8"));
      if (pin !== undefined && this.#file(pin.daemonId) === path.join(this.#dir, name)) ids.push(pin.daemonId);
    }
    return ids;
  }

  /** The id goes into the hash as JSON text: that keeps even broken surrogates apart. */
  #file(daemonId) {
    const hash = createHash("sha256")
      .update(JSON.stringify(asDaemonId(daemonId)))
      .digest("hex");
    return path.join(this.#dir, `${hash}.json`);
  }

  async #makeDirectory() {
    await fs.mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const { mode } = await fs.stat(this.#dir);
    if ((mode & 0o077) !== 0 && process.platform !== "win32") await fs.chmod(this.#dir, 0o700);
  }
}

/** On the disk before it gets its name: after a crash there is the old key or the new one, never half of one. */
async function writeDurably(file, text) {
  const handle = await fs.open(file, "wx", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function parsePin(text) {
  try {
    const { daemonId, publicKey } = JSON.parse(text);
    if (typeof daemonId !== "string" || daemonId === "" || typeof publicKey !== "string") return undefined;
    const bytes = Uint8Array.from(Buffer.from(publicKey, "base64"));
    return bytes.length === KEY_BYTES ? { daemonId, publicKey: bytes } : undefined;
  } catch {
    return undefined;
  }
}

/** A store that forgets everything when the process ends. */
function createMemoryIdentityKeyStore() {
  return new MemoryIdentityKeyStore();
}

/** A store in the directory `dir`: one file per daemon, readable by this user only, written atomically. */
function createFileIdentityKeyStore(dir) {
  if (typeof dir !== "string" || dir === "") throw new TypeError("dir must be a non-empty string");
  return new FileIdentityKeyStore(path.resolve(dir));
}

module.exports = { createMemoryIdentityKeyStore, createFileIdentityKeyStore };
