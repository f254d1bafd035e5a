export * from "./secure-relay.js";
