// Prints the C files below a folder as JSONL, one {"text"} a line, in an order that says nothing: by the hash of their
// paths. So the files that `prepare` holds out are like the others, and any first part of the corpus is like the whole.
//
//   node examples/source-documents.mjs linux-source-6.1 > linux-source.jsonl
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = process.argv[2];
if (root === undefined) {
  console.error("usage: node examples/source-documents.mjs FOLDER");
  process.exit(2);
}

const files = readdirSync(root, { recursive: true })
  .filter((path) => /\.[ch]$/.test(path))
  .map((path) => ({ path, key: createHash("sha256").update(path).digest("hex") }))
  .sort((a, b) => (a.key < b.key ? -1 : 1));

const longest = 1_000_000; // tables of registers, mostly
for (const { path } of files) {
  const text = readFileSync(join(root, path), "utf8");
  if (text.length > longest || text.includes("\ufffd")) continue;
  const line = `${JSON.stringify({ text })}\n`;
  if (!process.stdout.write(line)) await new Promise((resolve) => process.stdout.once("drain", resolve));
}
