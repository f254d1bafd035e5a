// TLS in front of a test's relay, under a certificate that nobody trusts by himself; it writes down who asked for what.
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { makeCertificate } from "./certificate.mjs";

/** Starts it on `localhost`. What the relay's control plane says of its relay leads here, too. */
export async function startTlsFront(relay) {
  const { key, cert } = makeCertificate(["localhost"]);
  const sockets = new Set();
  const upgrades = [];
  const keep = (socket) => {
    sockets.add(socket);
    return socket.once("close", () => sockets.delete(socket)).on("error", () => socket.destroy());
  };
  const front = https.createServer({ key, cert }, (request, response) => {
    const { method, url, headers } = request;
    const inner = http.request(relay.apiUrl + url, { method, headers }, async (answer) => {
      let text = "";
      for await (const chunk of answer.setEncoding("utf8")) text += chunk;
      text = text.replaceAll(relay.relayUrl, relayUrl);
      response.writeHead(answer.statusCode, { "content-type": "application/json" }).end(text);
    });
    request.pipe(inner);
  });
  front.on("connection", keep);
  front.on("upgrade", (request, socket) => {
    const { url, headers, rawHeaders } = request;
    upgrades.push({ url, authorization: headers.authorization });
    const lines = [`GET ${url} HTTP/1.1`];
    for (let at = 0; at < rawHeaders.length; at += 2) lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
    const inner = keep(net.connect(relay.port, "127.0.0.1"));
    inner.write(`${lines.join("\r\n")}\r\n\r\n`);
    inner.pipe(keep(socket)).pipe(inner);
  });
  await once(front.listen(0, "localhost"), "listening");
  const authority = `localhost:${front.address().port}`;
  const relayUrl = `wss://${authority}`;
  return {
    cert,
    apiUrl: `https://${authority}`,
    relayUrl,
    /** The WebSocket upgrades, in order: `{url, authorization}`. */
    upgrades,
    async stop() {
      for (const socket of sockets) socket.destroy();
      front.close();
      front.closeAllConnections();
    },
  };
}
