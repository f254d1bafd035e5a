// The package loaded more than once in one thread, as reloads and test runners do.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import vm from "node:vm";

const root = fileURLToPath(new URL("../..", import.meta.url));
const require = createRequire(import.meta.url);

/** A copy with an addon of its own: everything of the package is loaded once more. */
export function reload() {
  for (const file of Object.keys(require.cache)) {
    if (file.startsWith(root) && !file.includes("node_modules")) delete require.cache[file];
  }
  return require(path.join(root, "index.js"));
}

/**
 * A copy in a global object of its own, over the addon that is loaded already: what test runners do for every file.
 * They run JavaScript themselves, and leave the loading of addons to Node.
 */
export function loadInContext() {
  const globals = { Buffer, URL, AbortController, console, process, queueMicrotask };
  const timers = { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate };
  const context = vm.createContext({ ...globals, ...timers });
  const modules = new Map();
  function load(file) {
    if (file.endsWith(".node") || !path.isAbsolute(file)) return require(file);
    if (!modules.has(file)) {
      const module = { exports: {} };
      modules.set(file, module);
      const text = fs.readFileSync(file, "utf8");
      if (file.endsWith(".json")) module.exports = JSON.parse(text);
      else {
        const requireFrom = (name) => load(createRequire(file).resolve(name));
        const names = ["require", "module", "exports"];
        const code = vm.compileFunction(text, names, { filename: file, parsingContext: context });
        code(requireFrom, module, module.exports);
      }
    }
    return modules.get(file).exports;
  }
  return load(path.join(root, "index.js"));
}
