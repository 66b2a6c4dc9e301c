import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";

/** The sources of the messages, with string literals that are continued on the next line made whole. */
const sources = ["native/binding", "native/core", "native/cuda", "lib/native", "lib/train"]
  .flatMap((folder) => readdirSync(folder, { encoding: "utf8", recursive: true }).map((name) => join(folder, name)))
  .filter((file) => statSync(file).isFile())
  .map((file) => readFileSync(file, "utf8"))
  .join("\n")
  .replace(/"\s*\n\s*"/g, "")
  .replace(/\\\n/g, "");

const headings = [...readFileSync("docs/cuda.md", "utf8").matchAll(/^### `(.+)`$/gm)].map(([, text]) => text!);

describe("docs/cuda.md: every message it explains is one that can be given", () => {
  it.each(headings)("%s", (heading) => {
    const parts = heading.split(/…|: /).filter((part) => /[a-z]{3}/.test(part));
    expect(parts.filter((part) => !sources.includes(part))).toEqual([]);
    expect(parts.length).toBeGreaterThan(0);
  });
});
