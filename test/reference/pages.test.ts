/**
 * The reference has every export, with an example of each function and class, and is that of the sources. That an export
 * has a doc comment is tested in test/repository/public_api.test.ts.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { fingerprint } from "../../docs/reference/fingerprint.js";
import { type Export, exportsOf, pageNames } from "../../docs/reference/pages.js";
import * as api from "../../lib/index.js";
import * as kernels from "../../lib/kernels.js";
import { builtDist } from "../support/built_package.js";
import { exportedNames } from "../support/declarations.js";
import { examples } from "./examples.js";

const folder = fileURLToPath(new URL("../../docs/api/", import.meta.url));
const dist = builtDist();
const files = readdirSync(folder);
const read = (file: string) => readFileSync(join(folder, file), "utf8");

describe("the pages", () => {
  const on = pageNames.flatMap(exportsOf);

  it("have each export once", () => {
    const names = ({ entry }: Pick<Export, "entry">) => exportedNames(join(dist, `${entry}.d.ts`));
    const main = names({ entry: "index" });
    const others = names({ entry: "kernels" }).filter((name) => !main.includes(name));
    expect(on.map(({ name }) => name).sort()).toEqual([...main, ...others].sort());
  });

  it("have an example of every function and every class", () => {
    const values = { ...api, ...kernels } as Record<string, unknown>;
    const shown = new Set(examples().map(({ name }) => name));
    expect(Object.keys(values).filter((name) => !shown.has(name))).toEqual([]);
    // The three kernels have gradients.
    const functions = Object.values(kernels).filter((value) => "backward" in Object(value));
    expect(functions.map(({ name }) => `${name}.2`).filter((name) => !shown.has(name))).toEqual([]);
  });
});

it("is all that lies there", () => {
  expect(files.sort()).toEqual(["README.md", ...pageNames.map((name) => `${name}.md`)].sort());
});

describe.each(pageNames)("%s.md", (name) => {
  const text = read(`${name}.md`);

  it("is of the declarations that the sources have: npm run reference writes it", () => {
    const [, written] = /from declarations (\w+)\. -->/.exec(text) ?? [];
    expect(written).toBe(fingerprint(dist, exportsOf(name)));
  });
});
