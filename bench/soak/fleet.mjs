// The daemons, the client processes and their sessions ("slots"), and what is known about each.
import { generateIdentityKeyPair } from "@sideband/cloud";
import { Child } from "./child.mjs";

const LOAD = { callMs: 500, eventMs: 1_000, askMs: 5_000, timeoutMs: 10_000, sampleMs: 10_000 };

const toText = (key) => Buffer.from(key).toString("base64");

export class Fleet {
  daemons = [];
  clients = [];
  /** slot → {daemonId, client, state, connectedAt, resumedAt} */
  slots = new Map();
  totals = {};
  #counted = new Map();

  constructor({ relay, ledger, measures }) {
    Object.assign(this, { relay, ledger, measures });
  }

  async prepare({ daemons, clients, sessions }) {
    for (let index = 0; index < daemons; index += 1) {
      const { daemonId, apiKey } = this.relay.addDaemon(`daemon-${index}`);
      const { publicKey, privateKey } = generateIdentityKeyPair();
      const identity = { publicKey: toText(publicKey), privateKey: toText(privateKey) };
      this.daemons.push({ name: `daemon ${index}`, daemonId, apiKey, identity });
    }
    for (let index = 0; index < clients; index += 1) this.clients.push({ name: `client ${index}`, slots: [] });
    await this.relay.start();
    for (let index = 0; index < sessions; index += 1) {
      const { daemonId, identity } = this.daemons[index % daemons];
      const client = this.clients[Math.floor(index / daemons) % clients];
      const { accessToken } = await this.relay.admin("POST", "users", { daemonIds: [daemonId] });
      const onDisconnect = client.slots.length % 2 === 0 ? "pause" : "fail";
      const slot = `slot ${index}`;
      client.slots.push({ slot, daemonId, accessToken, publicKey: identity.publicKey, onDisconnect });
      this.slots.set(slot, { slot, daemonId, client, state: "idle", connectedAt: 0, resumedAt: 0 });
    }
  }

  slotsOf = ({ daemonId, client }) =>
    [...this.slots.values()].filter((slot) => slot.daemonId === daemonId || slot.client === client);

  startDaemon(daemon) {
    const { relayUrl, apiUrl } = this.relay;
    const { daemonId, apiKey, identity } = daemon;
    return this.#start(daemon, "daemon", { daemonId, apiKey, identity, relayUrl, apiUrl });
  }

  startClient(client) {
    for (const slot of this.slotsOf({ client })) slot.state = "idle";
    return this.#start(client, "client", { slots: client.slots, apiUrl: this.relay.apiUrl });
  }

  async #start(member, program, options) {
    const child = new Child(
      member.name,
      program,
      { ...LOAD, ...options },
      (message) => this.#on[message.kind]?.(message, child),
      (fault) => this.ledger.violation(fault),
    );
    member.child = child;
    await child.ready;
  }

  allActive = () => [...this.slots.values()].every(({ state }) => state === "active");

  #on = {
    peer: ({ at, slot: name, state, previous, daemonId }) => {
      const slot = this.slots.get(name);
      slot.state = state;
      if (state === "active") slot[previous === "paused" ? "resumedAt" : "connectedAt"] = at;
      else this.#adopt(name, daemonId);
      if (state === "closed" && !slot.client.ending) this.ledger.violation("a client's peer closed", { slot: name });
    },
    failure: ({ kind: _kind, ...failure }) =>
      this.ledger.needsExplanation({ what: "call", failure: true, ...failure }),
    reported: ({ kind: _kind, ...report }) => this.ledger.needsExplanation({ what: "onUnhandledError", ...report }),
    gap: ({ kind: _kind, lost, direction, ...where }) =>
      this.ledger.needsExplanation({ what: "events lost", error: direction, times: lost, ...where }),
    violation: ({ what, kind: _kind, at: _at, ...where }) => this.ledger.violation(what, where),
    sample: ({ at, rss, heapUsed, descriptors, counters }, child) => {
      this.#add(child.pid, counters);
      this.measures.add(child.name, child.pid, { at, rss, heapUsed, descriptors });
    },
  };

  /** The relay knows sessions by ids that clients do not tell: a dropped one is known by what its client says. */
  #adopt(slot, daemonId) {
    const drop = this.ledger.running.find((event) => event.daemonIds.has(daemonId) && event.slots.size < event.drops);
    drop?.slots.add(slot);
  }

  /** Children count from their start: what they add goes into the totals. */
  #add(pid, counters) {
    const before = this.#counted.get(pid) ?? {};
    for (const [name, value] of Object.entries(counters)) {
      this.totals[name] = (this.totals[name] ?? 0) + value - (before[name] ?? 0);
    }
    this.#counted.set(pid, counters);
  }
}
