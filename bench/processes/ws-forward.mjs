// The yardstick's middle: forwards both ways.
import { WebSocket, WebSocketServer } from "ws";
import { options, serve, usage } from "./answer.mjs";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
server.on("connection", (near) => {
  const far = new WebSocket(options.target, { perMessageDeflate: false });
  const opened = new Promise((resolve) => far.once("open", resolve));
  near.on("message", (data) => (far.readyState === WebSocket.OPEN ? far.send(data) : opened.then(() => far.send(data))));
  far.on("message", (data) => near.send(data));
  near.on("close", () => far.close());
});
server.on("listening", () => serve({ usage }, { url: `ws://127.0.0.1:${server.address().port}` }));
