// A daemon of the soak: answers, checks the order of what comes, numbers what it sends, and calls its clients.
import { randomUUID } from "node:crypto";
import { listen } from "@sideband/cloud";
import { count, finish, nameOf, options, tell, tracked, unsettled, violation } from "./report.mjs";
import { Sequence } from "./sequence.mjs";

const { daemonId } = options;
const incoming = new Map(); // sender → Sequence of its events
let running = true;

function meet(peer) {
  const session = randomUUID();
  const where = { daemonId, slot: undefined };
  let sent = 0;

  peer.rpc.handle("echo", ({ slot, call, pad }) => {
    where.slot = slot;
    return { slot, call, pad, session };
  });
  peer.events.on("up", ({ slot, sender, number }) => {
    where.slot = slot;
    if (!incoming.has(sender)) incoming.set(sender, new Sequence());
    const { fault, lost } = incoming.get(sender).next(session, number, true);
    if (fault) violation(`daemon: ${fault}`, where);
    if (lost > 0) tell("gap", { ...where, lost, direction: "client to daemon" });
    count("events received");
  });

  const events = setInterval(() => {
    sent += 1;
    peer.events.emit("down", { session, number: sent });
    count("events sent");
  }, options.eventMs);
  const calls = setInterval(() => {
    if (!running) return;
    const call = randomUUID();
    void tracked(() => peer.rpc.call("ask", { call }, { timeoutMs: options.timeoutMs }), {
      timeoutMs: options.timeoutMs,
      where,
      check: (answer) => {
        const right = answer.call === call && (where.slot === undefined || answer.slot === where.slot);
        if (!right) violation(`daemon: got the answer of another call: ${JSON.stringify(answer)}`, where);
      },
    });
  }, options.askMs);
  peer.on("stateChange", ({ state }) => {
    if (state !== "closed") return;
    clearInterval(events);
    clearInterval(calls);
  });
}

const server = await listen({
  daemonId,
  apiKey: options.apiKey,
  apiUrl: options.apiUrl,
  relayUrl: options.relayUrl,
  identityKeyPair: {
    publicKey: Buffer.from(options.identity.publicKey, "base64"),
    privateKey: Buffer.from(options.identity.privateKey, "base64"),
  },
  onConnection: meet,
  onUnhandledError: (error) => tell("reported", { daemonId, error: nameOf(error), message: String(error?.message) }),
});
tell("ready");

const orders = {
  quiet: () => (running = false),
  state: () => tell("state", { sessions: server.connections.size, unsettled: unsettled() }),
  async end() {
    await server.close();
    finish();
  },
};
process.on("message", ({ order }) => void orders[order]());
