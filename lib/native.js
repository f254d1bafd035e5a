"use strict";
// Finds and loads the addon, once, at the first use: type checks and error classes work without it.

const { version } = require("../package.json");

let binding;

/** The addon's functions (the boundary of src/). Throws an error that says what to do where there is no addon. */
function native() {
  return binding ?? (binding = load());
}

function load() {
  const triples = hostTriples();
  const names = [
    ...triples.map((triple) => `./sideband.${triple}.node`),
    "./sideband.node",
    ...triples.map((triple) => `@sideband/cloud-${triple}`),
  ];
  const reasons = [];
  for (const name of names) {
    try {
      return checked(require(name), name);
    } catch (error) {
      // A file that is simply not there is no news; one that is there and does not load is.
      if (error?.code !== "MODULE_NOT_FOUND") reasons.push(`${name}: ${error?.message}`);
    }
  }
  const why = reasons.length > 0 ? ` ${reasons.join("; ")}.` : "";
  const error = new Error(
    `@sideband/cloud: no native addon for ${triples.join(" or ")} could be loaded.${why} ` +
      'In a checkout run "npm run build"; as an installed package, reinstall without --omit=optional.',
  );
  error.code = "ERR_SIDEBAND_ADDON";
  throw error;
}

/** Refuses an addon of another version: its records would be misread. */
function checked(loaded, name) {
  const found = typeof loaded.version === "function" ? loaded.version() : version;
  if (found !== version) throw new Error(`${name} has version ${found}, this package has ${version}`);
  return loaded;
}

/**
 * The platform's names as the platform packages have them. On Linux there are two: asking Node for its libc takes
 * long, and an addon for the other one does not load anyway.
 */
function hostTriples() {
  const base = `${process.platform}-${process.arch}`;
  if (process.platform === "linux") return [`${base}-gnu`, `${base}-musl`];
  if (process.platform === "win32") return [`${base}-msvc`];
  return [base];
}

module.exports = { native };
