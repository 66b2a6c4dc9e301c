/** The examples of the reference compile, against the package's own types. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "@jest/globals";
import { builtCommand } from "../support/built.js";
import { examples, writePrograms } from "./examples.js";

const tsc = fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url));
const { path } = builtCommand();

it("are programs that compile", () => {
  const all = examples();
  expect(all.length).toBeGreaterThan(50);
  writePrograms(path(""), Object.fromEntries(all.map(({ name, code }) => [`examples/${name}.ts`, code])));
  const { stdout } = spawnSync(process.execPath, [tsc, "-p", path("tsconfig.json"), "--noEmit"], { encoding: "utf8" });
  expect(stdout).toBe("");
});

it("names what they are about", () => {
  for (const { name, code } of examples()) {
    expect(code.toLowerCase()).toContain(name.replace(/\.\d+$/, "").toLowerCase());
  }
});
