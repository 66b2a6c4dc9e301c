import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { mutants } from "./faults.js";
import { seeded } from "./mutant.js";

const root = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const { scripts } = JSON.parse(readFileSync(root("package.json"), "utf8")) as { scripts: Record<string, string> };

/** The scripts that a script runs, or the file that it is, those that they run included. */
function reached(script: string): string[] {
  const [, file] = /^bash (test\/long\.sh)$/.exec(scripts[script]!) ?? [];
  const text = file === undefined ? scripts[script]! : readFileSync(root(file), "utf8").replace(/^#.*$/gm, "");
  const named = [...text.matchAll(/(?<=npm (?:run )?)[\w:-]+|\w+:[\w:-]+/g)].map(([name]) => name);
  return [script, ...named.filter((name) => name in scripts).flatMap(reached)];
}

describe("the seeded faults", () => {
  it.each(mutants.map((mutant) => [mutant.fault, mutant] as const))("%s", (_, mutant) => {
    const source = readFileSync(root(mutant.file), "utf8");
    expect(seeded(mutant, source)).not.toBe(source);
    const { run, script } = mutant.check;
    if (run.kind === "jest") expect(existsSync(root(run.args[0]!))).toBe(true);
    if (run.kind === "assembler") expect(existsSync(root(`native/cuda/${run.only}`))).toBe(true);
    expect([...reached("test"), ...reached("test:long")]).toContain(script);
  });

  it("are different", () => {
    expect(new Set(mutants.map(({ fault }) => fault)).size).toBe(mutants.length);
    expect(new Set(mutants.map(({ file, find, replace }) => `${file} ${find} ${replace}`)).size).toBe(mutants.length);
  });
});

describe("a mutant", () => {
  const mutant = { ...mutants[0]!, find: "a + b", replace: "a - $&" };

  it("is applied to the one place that it names", () => {
    expect(seeded(mutant, "x = a + b;")).toBe("x = a - $&;");
  });

  it("is refused where its source has changed", () => {
    expect(() => seeded(mutant, "x = b + a;")).toThrow('expected "a + b" once but found it 0 times');
    expect(() => seeded(mutant, "a + b, a + b")).toThrow("found it 2 times");
  });
});
