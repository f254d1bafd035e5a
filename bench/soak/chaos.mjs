// What is done to the fleet, one thing after the other or on different daemons at once.
import { setTimeout as sleep } from "node:timers/promises";

/** Within this every session touched is active again, or the run has failed. */
const BOUND_MS = 45_000;
/** A daemon that was killed has forgotten its sessions: the relay keeps them for its grace, 60 s, before they start anew. */
const FORGOTTEN_BOUND_MS = 60_000 + BOUND_MS;

export class Chaos {
  /**
   * @param mayRestart whether the relay, and the daemon and client whose memory is measured, may be restarted now
   * @param only the kinds of events to choose from, where not all
   */
  constructor({ fleet, relay, ledger, dice, mayRestart, only }) {
    Object.assign(this, { fleet, relay, ledger, dice, mayRestart, only });
  }

  /** What there is to do, and how often in comparison. */
  #choices = [
    [32, "link drop", () => this.#linkDrop()],
    [30, "session drop", () => this.#sessionDrops()],
    [8, "daemon kill", () => this.#daemonKill()],
    [8, "client kill", () => this.#clientRestart("client kill")],
    [5, "client end", () => this.#clientRestart("client end")],
    [5, "client freeze", () => this.#clientFreeze()],
    [5, "relay stop", () => this.#relayRestart("relay stop", "SIGTERM")],
    [5, "relay kill", () => this.#relayRestart("relay kill", "SIGKILL")],
    [3, "all at once", () => this.#allAtOnce()],
  ];

  /** Does the next thing. Resolves when it was done, mostly before everybody has recovered from it. */
  async next() {
    const forbidden = this.mayRestart() ? [] : ["relay stop", "relay kill", "all at once"];
    const possible = this.#choices.filter(([, kind]) => !forbidden.includes(kind) && (this.only?.includes(kind) ?? true));
    if (possible.length > 0) await this.dice.weighted(possible.map(([weight, , act]) => [weight, act]))();
  }

  /** Waits until nobody is recovering any more. */
  async calm() {
    while (this.ledger.running.length > 0 || !this.fleet.allActive()) {
      this.watch();
      await sleep(100);
    }
  }

  /** Notes recoveries, and what takes too long. */
  watch() {
    const now = Date.now();
    for (const event of this.ledger.running) {
      const { at, slots, drops = 0, bound = BOUND_MS } = event;
      const recovered = (slot) => slot.state === "active" && event.recovered(slot, at);
      const rest = [...slots].map((name) => this.fleet.slots.get(name)).filter((slot) => !recovered(slot));
      if (event.done && rest.length === 0 && slots.size >= drops) {
        event.recoveredAt = now;
      } else if (now - at > bound) {
        const what = `${event.kind}: ${rest.length} sessions are not active after ${bound} ms`;
        this.ledger.violation(what, { slots: rest.slice(0, 5).map(({ slot, state }) => `${slot} ${state}`) });
        event.recoveredAt = now;
      }
    }
  }

  #begin(kind, members, recovered, more = {}) {
    const slots = members.flatMap((member) => this.fleet.slotsOf(member));
    return this.ledger.begin({
      kind,
      slots: new Set(more.drops ? [] : slots.map(({ slot }) => slot)),
      daemonIds: new Set(slots.map(({ daemonId }) => daemonId)),
      recovered,
      ...more,
    });
  }

  #quietDaemon() {
    const busy = this.ledger.running.flatMap(({ daemonIds }) => [...daemonIds]);
    return this.dice.pick(this.fleet.daemons.filter(({ daemonId }) => !busy.includes(daemonId)));
  }

  async #linkDrop() {
    const daemon = this.#quietDaemon();
    if (daemon === undefined) return;
    const event = this.#begin("link drop", [daemon], (slot, at) => Math.max(slot.resumedAt, slot.connectedAt) > at);
    await this.relay.admin("POST", `daemons/${daemon.daemonId}/disconnect`);
    event.done = true;
  }

  async #sessionDrops() {
    const daemon = this.#quietDaemon();
    if (daemon === undefined) return;
    const { daemonId } = daemon;
    const sessions = (await this.relay.admin("GET", "sessions")).filter((session) => session.daemonId === daemonId);
    const drops = Math.min(sessions.length, 1 + Math.floor(this.dice.next() * 5));
    const event = this.#begin("session drop", [daemon], (slot, at) => slot.connectedAt > at, { drops });
    const chosen = sessions.sort(() => this.dice.next() - 0.5).slice(0, drops);
    for (const { sessionId } of chosen) await this.relay.admin("POST", `sessions/${sessionId}/disconnect`);
    event.done = true;
  }

  async #daemonKill() {
    const daemon = this.#quietDaemon();
    if (daemon === undefined || (daemon === this.fleet.daemons[0] && !this.mayRestart())) return;
    const bound = FORGOTTEN_BOUND_MS;
    const event = this.#begin("daemon kill", [daemon], (slot, at) => slot.connectedAt > at, { bound });
    await daemon.child.kill();
    await sleep(this.dice.between(100, 4_000));
    await this.fleet.startDaemon(daemon);
    event.done = true;
  }

  async #clientRestart(kind) {
    await this.calm();
    const client = this.dice.pick(this.fleet.clients.slice(this.mayRestart() ? 0 : 1));
    const event = this.#begin(kind, [{ client }], (slot, at) => slot.connectedAt > at);
    client.ending = true;
    if (kind === "client kill") {
      await client.child.kill();
    } else {
      const code = await client.child.end();
      if (code !== 0) this.ledger.violation(`${client.name} did not end by itself: ${code}`);
    }
    client.ending = false;
    await sleep(this.dice.between(100, 2_000));
    await this.fleet.startClient(client);
    event.done = true;
  }

  async #clientFreeze() {
    await this.calm();
    const client = this.dice.pick(this.fleet.clients);
    const event = this.#begin("client freeze", [{ client }], () => true);
    await client.child.freeze(this.dice.between(1_000, 8_000));
    await sleep(1_000); // what it missed is worked off
    event.done = true;
  }

  async #relayRestart(kind, signal) {
    await this.calm();
    const event = this.#begin(kind, this.fleet.daemons, (slot, at) => slot.connectedAt > at, { everything: true });
    const code = await this.relay.end(signal);
    if (signal === "SIGTERM" && code !== 0) this.ledger.violation(`the relay ended with ${code} on SIGTERM`);
    await sleep(this.dice.between(100, 3_000));
    await this.relay.start();
    event.done = true;
  }

  async #allAtOnce() {
    await this.calm();
    const { fleet, relay, dice } = this;
    const event = this.#begin("all at once", fleet.daemons, (slot, at) => slot.connectedAt > at, { everything: true });
    const [daemon, client] = [dice.pick(fleet.daemons), dice.pick(fleet.clients)];
    client.ending = true;
    await Promise.all([relay.end("SIGKILL"), daemon.child.kill(), client.child.kill()]);
    client.ending = false;
    await sleep(dice.between(100, 2_000));
    await relay.start();
    await Promise.all([fleet.startDaemon(daemon), fleet.startClient(client)]);
    event.done = true;
  }
}
