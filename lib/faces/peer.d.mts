export * from "./peer.js";
