/** The documents name commands and files that exist, and source files follow one naming convention. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { anchors } from "../support/anchors.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> };

/** What is in a folder and in the folders below it, as paths from the repository's root. */
const everythingIn = (folder: string): string[] =>
  readdirSync(join(root, folder), { encoding: "utf8", recursive: true }).map((file) => `${folder}/${file}`);

const pages = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")),
  ...["docs", "examples", "native", "bench"].flatMap(everythingIn).filter((file) => file.endsWith(".md")),
];

it("finds the pages", () => {
  expect(pages).toEqual(
    expect.arrayContaining(["README.md", "SECURITY.md", "docs/testing.md", "native/cuda/README.md"]),
  );
});

describe.each(pages)("%s", (page) => {
  const text = readFileSync(join(root, page), "utf8");

  it("names npm scripts that exist", () => {
    const named = [...text.matchAll(/\bnpm run (?:--?\S+ )*([a-z][\w:-]*)/g)].map(([, name]) => name!);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  it("links to files that are there", () => {
    const targets = [...text.matchAll(/\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)/gm)].map(
      ([, inline, listed]) => inline ?? listed!,
    );
    const relative = targets
      .filter((target) => !/^([a-z]+:|#)/.test(target))
      .map((target) => target.replace(/#.*/, ""));
    expect(relative.filter((target) => !existsSync(join(root, dirname(page), target)))).toEqual([]);
  });

  it("links to places that are there", () => {
    const links = [...text.matchAll(/\]\((?![a-z]+:)([^)\s#]*)#([^)\s]+)\)/g)];
    const missing = links.filter(([, file, anchor]) => {
      const target = file === "" ? text : readFileSync(join(root, dirname(page), file!), "utf8");
      return !anchors(target).has(anchor!);
    });
    expect(missing.map(([link]) => link)).toEqual([]);
  });
});

describe("source files", () => {
  // Data has the names that its readers expect.
  const data = /^(bench\/results|test\/fixtures\/hf)\/|\/__pycache__\/|\/README\.md$/;
  const files = ["lib", "native", "bench", "test", "scripts"].flatMap(everythingIn).filter((file) => !data.test(file));

  it("have names in snake_case, as have their folders", () => {
    expect(files.length).toBeGreaterThan(350);
    expect(files.filter((file) => !/^[a-z0-9_./]+$/.test(file))).toEqual([]);
  });
});
