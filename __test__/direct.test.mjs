// Plain SBP over a WebSocket of its own, without a relay.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import WebSocket, { WebSocketServer } from "ws";
import { createPeer, sbpNegotiator } from "@sideband/cloud/peer";
import { listen } from "@sideband/cloud/peer/server";
import { atEnd } from "./support/ending.mjs";
import { QUICK_RETRY } from "./support/peers.mjs";
import { deferred, reached } from "./support/wait.mjs";

async function startServer(t, options) {
  const server = await listen({ endpoint: "ws://127.0.0.1:0", onConnection() {}, ...options });
  atEnd(t, () => server.close());
  return server;
}

function startPeer(t, endpoint, options) {
  const peer = createPeer({ endpoint, ...options });
  atEnd(t, () => peer.disconnect());
  return peer;
}

test("a server binds a port, and peers call both ways", async (t) => {
  const arrived = deferred();
  const server = await startServer(t, {
    negotiator: sbpNegotiator(),
    onConnection(remote) {
      remote.rpc.handle("echo", (value) => value);
      arrived.resolve(remote);
    },
  });
  assert.match(server.address, /^ws:\/\/127\.0\.0\.1:[1-9]\d*\/?$/);
  const peer = startPeer(t, server.address, { negotiator: sbpNegotiator(), peerId: "the-client" });
  peer.rpc.handle("name", () => "client");
  const seen = deferred();
  peer.events.on("hello", seen.resolve);
  await peer.connect();
  assert.deepEqual(await peer.rpc.call("echo", [1]), [1]);
  const remote = await arrived.promise;
  assert.equal(remote.peerId, "the-client");
  assert.equal(server.connections.get("the-client"), remote);
  assert.equal(await remote.rpc.call("name"), "client");
  remote.events.emit("hello", 1);
  assert.equal(await seen.promise, 1);
  await peer.disconnect();
  await reached(remote, "closed");
  assert.equal(server.connections.size, 0);
});

test("a port that is taken rejects with the code that Node has for it", async (t) => {
  const server = await startServer(t);
  await assert.rejects(listen({ endpoint: server.address, onConnection() {} }), (error) => {
    assert.equal(error.code, "EADDRINUSE");
    assert.match(error.message, /^127\.0\.0\.1:\d+: bind: /);
    return true;
  });
});

test("a client comes back to a server that was restarted", async (t) => {
  const server = await startServer(t);
  const endpoint = server.address;
  const peer = startPeer(t, endpoint, { retryPolicy: QUICK_RETRY, connectionPolicy: { onDisconnect: "pause" } });
  await peer.connect();
  const left = reached(peer, "reconnecting");
  await server.close();
  await left;
  await startServer(t, { endpoint, onConnection: (remote) => remote.rpc.handle("echo", (value) => value) });
  assert.equal(await peer.rpc.call("echo", 1), 1);
});

/** The JSON of a side's introduction, in the frame that is its first. */
function introduction(frame) {
  assert.deepEqual([...frame.subarray(0, 2)], [0, 0]);
  assert.equal(frame[18], 0);
  return JSON.parse(frame.subarray(19).toString());
}

test("what a side can do is told in the SBP handshake", async (t) => {
  const capabilities = ["files", "größer"];
  const negotiator = sbpNegotiator({ capabilities, peerId: "able" });
  capabilities.push("too late");
  const server = await startServer(t, { negotiator });
  const client = new WebSocket(server.address);
  const [hello] = await once(client, "message");
  client.terminate();
  const relay = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  atEnd(t, () => relay.close());
  await once(relay, "listening");
  const heard = deferred();
  relay.on("connection", (socket) => socket.once("message", heard.resolve));
  const peer = startPeer(t, `ws://127.0.0.1:${relay.address().port}`, { negotiator });
  peer.connect().catch(() => {});
  for (const { peerId, caps } of [introduction(hello), introduction(await heard.promise)]) {
    assert.equal(peerId, "able");
    assert.deepEqual(caps, ["files", "größer"]);
  }
});

test("a port that is taken rejects listen()", async (t) => {
  const server = await startServer(t);
  await assert.rejects(startServer(t, { endpoint: server.address }), /127\.0\.0\.1/);
});

test("a browser page of elsewhere is refused by a server on this machine", async (t) => {
  const server = await startServer(t);
  const socket = new WebSocket(server.address, { origin: "https://evil.example" });
  const [error] = await once(socket, "error");
  assert.match(error.message, /403/);
});

test("a frame that is no SBP handshake ends the connection, and the server lives", async (t) => {
  const server = await startServer(t, { onUnhandledError() {} });
  const socket = new WebSocket(server.address);
  await once(socket, "open");
  socket.send(Buffer.from("nonsense"));
  await once(socket, "close");
  const peer = startPeer(t, server.address);
  await peer.connect();
});
