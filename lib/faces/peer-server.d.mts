export * from "./peer-server.js";
