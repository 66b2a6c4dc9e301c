/** The manual that is in the package leads to nothing that is not: no link of a page, and no message of the command. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { builtCommand } from "../support/built.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (file: string) => readFileSync(join(root, file), "utf8");

/** What npm packs, except for what is built. */
const packed = ((): ReadonlySet<string> => {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const args = ["pack", "--dry-run", "--ignore-scripts", "--json"];
  const output = JSON.parse(execFileSync("npm", args, { cwd: root, env, encoding: "utf8", stdio: "pipe" })) as
    | { files: { path: string }[] }[]
    | Record<string, { files: { path: string }[] }>;
  return new Set(Object.values(output)[0]!.files.map(({ path }) => path)); // npm 12 has names for keys
})();
const holds = (path: string) => packed.has(path) || [...packed].some((file) => file.startsWith(`${path}/`));

describe.each([...packed].filter((file) => file.endsWith(".md")))("%s", (page) => {
  it("links to files that are in the package", () => {
    const text = read(page)
      .replace(/^```[\s\S]*?^```/gm, "")
      .replace(/`[^`\n]*`/g, "");
    const links = [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, link]) => link!);
    const missing = links.filter((link) => !/^[a-z]+:/.test(link) && !holds(normalize(join(dirname(page), link))));
    expect(missing).toEqual([]);
  });
});

describe("messages", () => {
  const sources = readdirSync(join(root, "lib"), { encoding: "utf8", recursive: true })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => `lib/${file}`);
  const native = [...packed].filter((file) => /^native\/.*\.(cpp|cu|cuh|h|cmake)$/.test(file));

  /** Texts between quotes, without comments. */
  const texts = (file: string) => {
    const code = read(file)
      .replace(/\/\*[\s\S]*?\*\//g, "")
      .replace(/^\s*(\/\/|#).*$/gm, "")
      .replace(/\b(from|import\() ?"[^"]*"/g, "");
    return [...code.matchAll(/"([^"\n]*)"|`([^`]*)`/g)].map(([, quoted, template]) => quoted ?? template!);
  };

  it("name no file of the repository, and no script of its package.json", () => {
    const found = [...sources, ...native, "CMakeLists.txt"].flatMap((file) =>
      texts(file)
        .flatMap(
          (text) =>
            text.match(/\b(docs|examples|scripts|test|bench|\.github)\/[\w.-]+|\bnpm (run|ci)\b [\w:-]+/g) ?? [],
        )
        .map((name) => `${file}: ${name}`),
    );
    // What is said in a clone only.
    expect([...new Set(found)].sort()).toEqual([
      "CMakeLists.txt: npm run build:native",
      "lib/native/problems.ts: npm run build:native",
      "lib/native/problems.ts: scripts/setup",
    ]);
  });
});

describe("the command", () => {
  const nextpatch = builtCommand();

  it("names a page of the manual where it lies", async () => {
    const { stdout } = await nextpatch("train", "--help");
    const [page] = /\S*docs\/\S+\.md/.exec(stdout) ?? [];
    expect(page).toBe("docs/config.md");
    expect(holds(page!) && existsSync(join(root, page!))).toBe(true);
  });
});
