// `npm test`: installs and builds what is missing, then runs every suite: Rust, types, packages, JavaScript.
import { readdirSync } from "node:fs";
import { announce, exists, root, run } from "./steps.mjs";
import "./prepare.mjs";

announce("Rust tests");
if (exists("cargo", ["nextest", "--version"])) {
  run("cargo", ["nextest", "run", "--workspace"]);
  run("cargo", ["test", "--workspace", "--doc"]);
} else {
  run("cargo", ["test", "--workspace"]);
}

announce("Types");
for (const project of ["node16", "bundler"]) {
  run(process.execPath, ["node_modules/typescript/bin/tsc", "-p", `__test__/types/tsconfig.${project}.json`]);
}

announce("The packages as they would be published");
for (const folder of [".", "npm/peer", "npm/secure-relay", "npm/relay"]) {
  run(process.execPath, ["node_modules/publint/src/cli.js", folder, "--strict"]);
}
run(process.execPath, ["node_modules/@arethetypeswrong/cli/dist/index.js", "--pack", "."]);

announce("JavaScript tests");
const suites = readdirSync(`${root}__test__`).filter((name) => name.endsWith(".test.mjs"));
run(process.execPath, ["--test", ...suites.map((name) => `__test__/${name}`)], { label: "node --test" });
