// Somebody between daemon and relay who changes or repeats a frame: it costs one session, and the daemon is told.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import WebSocket, { WebSocketServer } from "ws";
import { SbrpError } from "@sideband/cloud/secure-relay";
import { atEnd } from "./support/ending.mjs";
import { startClient, startPair } from "./support/peers.mjs";
import { startRelay } from "./support/relay.mjs";
import { reached, until } from "./support/wait.mjs";

let relay;
before(async () => (relay = await startRelay()));
after(() => relay.stop());

const DATA = 3;

/** Forwards to the relay. `forge` makes of the next Data frame for the daemon what goes there instead. */
async function startBetween(t) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  atEnd(t, () => server.close());
  await once(server, "listening");
  const between = { relayUrl: `ws://127.0.0.1:${server.address().port}`, forge: undefined };
  server.on("connection", (daemon, { url }) => {
    const upstream = new WebSocket(new URL(url, relay.relayUrl));
    const opened = once(upstream, "open");
    daemon.on("message", (frame) => void opened.then(() => upstream.send(frame)));
    upstream.on("message", (frame) => {
      const { forge } = between;
      if (frame[0] !== DATA || forge === undefined) return daemon.send(frame);
      between.forge = undefined;
      for (const forged of forge(frame)) daemon.send(forged);
    });
    daemon.on("close", () => upstream.close());
    upstream.on("close", () => daemon.close());
  });
  return between;
}

function changed(frame) {
  const forged = Buffer.from(frame);
  forged[forged.length - 1] ^= 1;
  return [forged];
}

for (const [what, forge, code] of [
  ["changed", changed, "decrypt_failed"],
  ["repeated", (frame) => [frame, frame], "sequence_error"],
]) {
  test(`a frame that was ${what} ends its session with ${code}, told once, and no other`, async (t) => {
    const between = await startBetween(t);
    const unhandled = [];
    const { server, account, peer, remote } = await startPair(t, relay, {
      onConnection: (one) => void one.rpc.handle("echo", (value) => value),
      daemon: { relayUrl: between.relayUrl, onUnhandledError: (error) => unhandled.push(error) },
    });
    const other = startClient(t, relay, account);
    assert.equal(await other.rpc.call("echo", 1), 1);
    const events = [];
    remote.on("error", (error) => events.push(error));
    const lost = reached(peer, "reconnecting");
    between.forge = forge;
    void peer.rpc.tryCall("echo", 2);
    await reached(remote, "closed");
    assert.equal(unhandled.length, 1);
    assert.ok(unhandled[0] instanceof SbrpError);
    assert.equal(unhandled[0].code, code);
    assert.deepEqual(events, unhandled);
    assert.equal(other.state, "active");
    assert.equal(await other.rpc.call("echo", 3), 3);
    await lost;
    assert.equal(await peer.rpc.call("echo", 4), 4, "it reconnects by its policy");
    // A client that leaves is no error.
    await peer.disconnect();
    await other.disconnect();
    await until(() => server.connections.size === 0);
    assert.equal(unhandled.length, 1);
  });
}
