// Installs and builds what is missing, so that a fresh clone needs no other command first.
import { exists, fail, install } from "./steps.mjs";

install();
if (!exists("cargo", ["--version"])) {
  fail(
    "Rust is missing: `cargo` could not be started.\n" +
      "  Install Rust 1.88 or newer from https://rustup.rs, open a new terminal, and run this command again.",
  );
}
await import("./build.mjs");
