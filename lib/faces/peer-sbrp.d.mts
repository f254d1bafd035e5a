export * from "./peer-sbrp.js";
