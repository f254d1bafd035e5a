// The code blocks of a Markdown page, each with the comment in front of it that says how it is held to the truth.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** README.md, everything under docs/, and the examples' own page; paths from the root, with `/`. */
export function pages() {
  const entries = fs.readdirSync(path.join(root, "docs"), { recursive: true, withFileTypes: true });
  const docs = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".md"))
    .map((entry) => path.relative(root, path.join(entry.parentPath ?? entry.path, entry.name)).replaceAll("\\", "/"));
  return ["README.md", "examples/README.md", ...docs.sort()];
}

export function read(file) {
  return fs.readFileSync(path.join(root, file), "utf8");
}

/**
 * The blocks of a page.
 * @returns {{page: string, line: number, language: string, note: string | undefined, text: string}[]}
 */
export function blocks(page) {
  const found = [];
  let open;
  let before = "";
  for (const [index, line] of read(page).split("\n").entries()) {
    const fence = /^\s*```(\w*)/.exec(line);
    if (open !== undefined) {
      if (fence === null) open.lines.push(line);
      else {
        const { lines, ...block } = open;
        found.push({ ...block, text: lines.map((text) => `${text}\n`).join("") });
        open = undefined;
        before = "";
      }
    } else if (fence !== null) {
      const note = /^<!-- (.+) -->$/.exec(before)?.[1];
      open = { page, line: index + 1, language: fence[1], note, lines: [] };
    } else if (line.trim() !== "") before = line.trim();
  }
  if (open !== undefined) throw new Error(`${page}:${open.line}: the block has no end`);
  return found;
}

/** What a block says it prints: `// → text`, in order; `…` at the end stands for anything. */
export function promises(text) {
  return [...text.matchAll(/\/\/ → (.+)$/gm)].map(([, line]) => line.replace(/…$/, ""));
}
