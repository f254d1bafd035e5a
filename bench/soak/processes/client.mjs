// A client process of the soak: many peers, each of which calls, emits, and checks what comes back.
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "@sideband/cloud";
import { count, finish, nameOf, options, tell, tracked, unsettled, violation } from "./report.mjs";
import { Sequence } from "./sequence.mjs";

/** Calls are of these many bytes: small mostly, now and then one that fills half a frame. */
const padding = (call) => "x".repeat(call % 97 === 0 ? 30_000 : (call * 37) % 600);

let running = true;

function open({ slot, daemonId, accessToken, publicKey, onDisconnect }) {
  const where = { slot, daemonId };
  const incoming = new Sequence();
  const pinned = Buffer.from(publicKey, "base64");
  let call = 0;
  let sent = 0;

  const peer = connect({
    daemonId,
    getAccessToken: () => accessToken,
    apiUrl: options.apiUrl,
    identityKeyStore: { get: () => pinned, set: () => violation("a pin was to change", where), delete: () => {} },
    trustPolicy: "pinned-only",
    connectionPolicy: { onDisconnect },
    retryPolicy: { maxAttempts: 0, maxDelayMs: 8_000 },
    onUnhandledError: (error) => tell("reported", { ...where, error: nameOf(error), message: String(error?.message) }),
  });
  peer.rpc.handle("ask", ({ call: asked }) => ({ slot, call: asked }));
  peer.events.on("down", ({ session, number }) => {
    const { fault, lost } = incoming.next(session, number, false);
    if (fault) violation(`client: ${fault}`, where);
    if (lost > 0) tell("gap", { ...where, lost, direction: "daemon to client" });
    count("events received");
  });
  peer.on("stateChange", ({ state, previous }) => tell("peer", { ...where, state, previous }));

  const callOnce = () => {
    if (!running) return;
    const mine = (call += 1);
    const pad = padding(mine);
    void tracked(() => peer.rpc.call("echo", { slot, call: mine, pad }, { timeoutMs: options.timeoutMs }), {
      timeoutMs: options.timeoutMs,
      where,
      check: (answer) => {
        if (answer.slot === slot && answer.call === mine && answer.pad === pad) return;
        violation(`client: call ${mine} got the answer of ${answer.slot}/${answer.call}`, where);
      },
    });
  };
  const emitOnce = () => {
    if (!running) return;
    sent += 1;
    peer.events.emit("up", { slot, sender: `${slot}#${process.pid}`, number: sent });
    count("events sent");
  };
  const timers = [setInterval(callOnce, options.callMs), setInterval(emitOnce, options.eventMs)];
  const close = async () => {
    for (const timer of timers) clearInterval(timer);
    await peer.disconnect();
  };
  return { peer, close };
}

// Not all in one tick: a fleet does not start in one either.
const opened = [];
for (const slot of options.slots) {
  opened.push(open(slot));
  await sleep(20);
}
tell("ready");

const orders = {
  quiet: () => (running = false),
  state: () => tell("state", { sessions: opened.filter(({ peer }) => peer.ready).length, unsettled: unsettled() }),
  async end() {
    await Promise.all(opened.map(({ close }) => close()));
    // What waited has been rejected by now; one turn for the last of the promises.
    await sleep(100);
    if (unsettled() > 0) violation(`${unsettled()} calls are unsettled after disconnect()`);
    finish();
  },
};
process.on("message", ({ order }) => void orders[order]());
