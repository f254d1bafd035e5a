// One code block as a process: makes its setting, runs it, and does what the rest of the world would do.
//   node run.mjs <setting> <file>
import { pathToFileURL } from "node:url";
import { settings } from "./settings.mjs";

const [name, file] = process.argv.slice(2);
const then = await settings[name]();
await import(pathToFileURL(file));
await then?.();
console.log("the block is done");
