// The yardstick's far end: sends back what comes.
import { WebSocketServer } from "ws";
import { serve, usage } from "./answer.mjs";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
server.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
server.on("listening", () => serve({ usage }, { url: `ws://127.0.0.1:${server.address().port}` }));
