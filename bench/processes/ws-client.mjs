// The yardstick's near end: 100 binary bytes there and back.
import { once } from "node:events";
import { WebSocket } from "ws";
import { options, repeat, serve, usage } from "./answer.mjs";

const socket = new WebSocket(options.target, { perMessageDeflate: false });
await once(socket, "open");
const message = Buffer.alloc(100, "x");
const waiting = [];
socket.on("message", () => waiting.shift()());
const echo = () =>
  new Promise((resolve) => {
    waiting.push(resolve);
    socket.send(message);
  });

serve({ usage, echoes: (how) => repeat(echo, how) });
