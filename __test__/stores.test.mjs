// Key stores: the two of the package, and what a program's own may do wrong.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { createFileIdentityKeyStore, createMemoryIdentityKeyStore, generateIdentityKeyPair } from "@sideband/cloud";
import { atEnd } from "./support/ending.mjs";
import { QUICK_RETRY, startClient, startDaemon } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

const key = (fill) => new Uint8Array(32).fill(fill);
const posix = process.platform === "win32" ? { skip: "no file modes" } : {};

function temporary(t) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "sideband-store-"));
  atEnd(t, () => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

for (const [name, create] of [
  ["memory", () => createMemoryIdentityKeyStore()],
  ["file", (t) => createFileIdentityKeyStore(path.join(temporary(t), "keys"))],
]) {
  test(`the ${name} store keeps, replaces, lists and forgets keys, by copy`, async (t) => {
    const store = create(t);
    assert.equal(await store.get("a"), null);
    assert.deepEqual(await store.list(), []);
    const mine = key(1);
    await store.set("a", mine);
    mine.fill(9);
    await store.set("b", Buffer.alloc(32, 2));
    assert.deepEqual(await store.get("a"), key(1));
    const theirs = await store.get("a");
    theirs.fill(9);
    assert.deepEqual(await store.get("a"), key(1));
    assert.equal((await store.get("b")).constructor, Uint8Array);
    await store.set("a", key(3));
    assert.deepEqual(await store.get("a"), key(3));
    assert.deepEqual((await store.list()).toSorted(), ["a", "b"]);
    await store.delete("a");
    await store.delete("a");
    assert.equal(await store.get("a"), null);
    assert.deepEqual(await store.list(), ["b"]);
    for (const bad of [key(1).slice(1), [1], "x", undefined]) await assert.rejects(store.set("a", bad), TypeError);
    for (const bad of ["", undefined, 7]) {
      await assert.rejects(store.get(bad), TypeError);
      await assert.rejects(store.set(bad, key(1)), TypeError);
      await assert.rejects(store.delete(bad), TypeError);
    }
  });
}

test("no daemon id leads out of the file store's directory, and none meets another", async (t) => {
  const outer = temporary(t);
  const dir = path.join(outer, "keys");
  const store = createFileIdentityKeyStore(dir);
  const ids = [
    "../up",
    "..",
    ".",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "a\0b",
    "CON",
    "Abc",
    "abc",
    "x".repeat(4_000),
    "\ud800",
    "\ud801",
    "ä",
    "a\u0308",
  ];
  for (const [index, id] of ids.entries()) await store.set(id, key(index));
  for (const [index, id] of ids.entries()) assert.deepEqual(await store.get(id), key(index));
  assert.deepEqual((await store.list()).toSorted(), ids.toSorted());
  assert.deepEqual(fs.readdirSync(outer), ["keys"]);
  assert.equal(fs.readdirSync(dir).length, ids.length);
});

test("the file store's files are for this user only, in a directory that is too", posix, async (t) => {
  const dir = temporary(t);
  fs.chmodSync(dir, 0o755);
  const store = createFileIdentityKeyStore(dir);
  const umask = process.umask(0);
  atEnd(t, () => process.umask(umask));
  await store.set("a", key(1));
  assert.equal(fs.statSync(dir).mode & 0o777, 0o700);
  const [name] = fs.readdirSync(dir);
  assert.equal(fs.statSync(path.join(dir, name)).mode & 0o777, 0o600);
});

test("concurrent writers never leave half a key", async (t) => {
  const dir = path.join(temporary(t), "keys");
  const stores = [createFileIdentityKeyStore(dir), createFileIdentityKeyStore(dir)];
  const writes = Array.from({ length: 40 }, (_, index) => stores[index % 2].set("a", key(index)));
  const reads = Array.from({ length: 40 }, () => stores[0].get("a"));
  for (const read of await Promise.all(reads)) assert.ok(read === null || read.every((byte) => byte === read[0]));
  await Promise.all(writes);
  assert.equal(fs.readdirSync(dir).length, 1);
});

test("a file that was damaged, or belongs to another daemon, is an error and no key", async (t) => {
  const dir = path.join(temporary(t), "keys");
  const store = createFileIdentityKeyStore(dir);
  await store.set("a", key(1));
  const [name] = fs.readdirSync(dir);
  for (const content of ["", "{}", '{"daemonId":"b","publicKey":"AAAA"}', '{"daemonId":"a","publicKey":"AAAA"}']) {
    fs.writeFileSync(path.join(dir, name), content);
    await assert.rejects(store.get("a"), /holds no key/);
    assert.deepEqual(await store.list(), []);
  }
});

test("a directory that cannot be is an error of set", posix, async (t) => {
  const dir = temporary(t);
  fs.writeFileSync(path.join(dir, "file"), "");
  const store = createFileIdentityKeyStore(path.join(dir, "file", "keys"));
  await assert.rejects(store.set("a", key(1)), { code: "ENOTDIR" });
  for (const bad of ["", undefined, 7]) assert.throws(() => createFileIdentityKeyStore(bad), TypeError);
});

test("a program's store is called with its own `this`, sync or async, with copies", async (t) => {
  const identityKeyPair = generateIdentityKeyPair();
  const { account } = await startDaemon(t, relay, { identityKeyPair });
  class Store {
    #keys = new Map();
    get(daemonId) {
      return this.#keys.get(daemonId);
    }
    set(daemonId, publicKey) {
      assert.equal(publicKey.constructor, Uint8Array);
      this.#keys.set(daemonId, publicKey);
    }
    delete() {}
  }
  const store = new Store();
  await startClient(t, relay, account, { identityKeyStore: store }).whenReady();
  assert.deepEqual(store.get(account.daemonId), identityKeyPair.publicKey);
  await startClient(t, relay, account, { identityKeyStore: store, trustPolicy: "pinned-only" }).whenReady();
});

test("a store that rejects fails the attempt with its error as cause, and the next attempt asks again", async (t) => {
  const { account } = await startDaemon(t, relay);
  const thrown = new Error("the disk is on fire");
  for (const method of ["get", "set"]) {
    for (const fail of [
      () => {
        throw thrown;
      },
      () => Promise.reject(thrown),
    ]) {
      const real = createMemoryIdentityKeyStore();
      let failures = 1;
      const store = {
        get: (id) => (method === "get" && failures-- > 0 ? fail() : real.get(id)),
        set: (id, publicKey) => (method === "set" && failures-- > 0 ? fail() : real.set(id, publicKey)),
        delete: (id) => real.delete(id),
      };
      await startClient(t, relay, account, { identityKeyStore: store }).whenReady();
      assert.notEqual(await real.get(account.daemonId), null);
      failures = Number.POSITIVE_INFINITY;
      if (method === "set") await real.delete(account.daemonId);
      const errors = [];
      const peer = startClient(t, relay, account, {
        identityKeyStore: store,
        retryPolicy: { mode: "never" },
        onUnhandledError: (error) => errors.push(error),
      });
      await assert.rejects(peer.whenReady());
      assert.equal(errors[0].cause, thrown);
      if (method === "set") assert.equal(await real.get(account.daemonId), null, "nothing is pinned");
    }
  }
});

test("a store that gives something that is no key is fatal", async (t) => {
  const { account } = await startDaemon(t, relay);
  for (const wrong of [new Uint8Array(31), "key", [1], {}, true, 0]) {
    let asked = 0;
    const errors = [];
    const peer = startClient(t, relay, account, {
      identityKeyStore: { get: () => ((asked += 1), wrong), set: () => assert.fail("pinned"), delete() {} },
      retryPolicy: QUICK_RETRY,
      onUnhandledError: (error) => errors.push(error),
    });
    await assert.rejects(peer.whenReady(), { code: "peer_closed" });
    assert.equal(asked, 1);
    assert.ok(errors[0].cause instanceof TypeError);
    assert.match(errors[0].cause.message, /identityKeyStore\.get/);
  }
});

test("a store or prompt that answers after its peer is gone harms nothing", async (t) => {
  const { account } = await startDaemon(t, relay);
  let answer;
  let asked;
  const wasAsked = new Promise((resolve) => (asked = resolve));
  const peer = startClient(t, relay, account, {
    identityKeyStore: {
      get: () => (asked(), new Promise((resolve, reject) => (answer = { resolve, reject }))),
      set() {},
      delete() {},
    },
  });
  await wasAsked;
  await peer.disconnect();
  answer.reject(new Error("too late"));
});
