// A client of plain-server.mjs.
//   node examples/plain-client.mjs ws://127.0.0.1:8080
import { createPeer } from "@sideband/cloud/peer";

const [endpoint] = process.argv.slice(2);

const peer = createPeer({ endpoint });
await peer.connect();
console.log(await peer.rpc.call("greet", "you"));
await peer.disconnect();
