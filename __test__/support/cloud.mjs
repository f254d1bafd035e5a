// The cloud's own addresses, played by the test's relay: programs run to the letter, with no URL in them. They reach it
// through a proxy that answers CONNECT for those two hosts with TLS of its own, under a certificate that they are told of.
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import tls from "node:tls";
import { makeCertificate } from "./certificate.mjs";

const HOSTS = ["api.sideband.cloud", "relay.sideband.cloud"];

/** Starts the proxy in front of `relay`; `env` is what a program's environment needs. */
export async function startCloud(relay) {
  const { key, cert } = makeCertificate(HOSTS);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sideband-cloud-"));
  const certificate = path.join(folder, "certificate.pem");
  fs.writeFileSync(certificate, cert);
  const context = tls.createSecureContext({ key, cert });
  const sockets = new Set();
  const connected = [];
  const keep = (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket)).on("error", () => socket.destroy());
    return socket;
  };
  const proxy = http.createServer((_request, response) => response.writeHead(405).end());
  proxy.on("connect", (request, socket) => {
    keep(socket);
    connected.push(request.url);
    if (!HOSTS.some((host) => request.url === `${host}:443`)) return socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
    socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
    const inner = keep(new tls.TLSSocket(socket, { isServer: true, secureContext: context }));
    const outer = keep(net.connect(relay.port, "127.0.0.1"));
    return inner.pipe(outer).pipe(inner);
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  return {
    /** The hosts that were asked for, in order. */
    connected,
    env: {
      HTTPS_PROXY: `http://127.0.0.1:${proxy.address().port}`,
      NODE_EXTRA_CA_CERTS: certificate,
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
      proxy.closeAllConnections();
      fs.rmSync(folder, { recursive: true });
    },
  };
}
