/** The hand-written and generated descriptions of the addon match the addon. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { limits } from "../../lib/limits.js";
import { native } from "../../lib/native.js";
import { limitsFile } from "../../scripts/write_limits.js";
import { open } from "../support/backends.js";
import { operations } from "../support/operations.js";

const read = (name: string) => readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), "utf8");
const types = read("binding.d.ts").replace(/\/\*\*[\s\S]*?\*\//g, "");
const signatures = native.signatures();

/** The parameters of every function that binding.d.ts declares, each as `name: type`, and what it returns. */
const declared = new Map(
  [...types.matchAll(/^export function (\w+)\(([\s\S]*?)\): ([^;]+);/gm)].map(([, name, list, returns]) => {
    const parameters = list!.split(",").map((text) => text.replace(/\s+/g, " ").trim());
    return [name!, { parameters: parameters.filter((text) => text !== ""), returns: returns! }];
  }),
);

/** How binding.d.ts writes each kind of parameter. */
const typeOf = {
  tensor: "Tensor",
  optional: "Tensor | null",
  number: "number",
  whole: "number",
  boolean: "boolean",
  device: "Device",
} as const;

/** The names of the members of a class in binding.d.ts; those of well-known symbols are lib/native.ts's. */
function members(name: string): string[] {
  const body = new RegExp(`^export class ${name}\\b.*\\{\\n([\\s\\S]*?)\\n\\}`, "m").exec(types)![1]!;
  const names = [...body.matchAll(/^ {2}(?:readonly )?(\w+)[(:]/gm)].map(([, member]) => member!);
  return names.filter((member) => member !== "constructor");
}

describe("binding.d.ts", () => {
  it("exports what the addon exports", () => {
    const values = [...types.matchAll(/^export (?:function|class|const) (\w+)/gm)].map(([, name]) => name!);
    const own = Object.keys(native).filter((name) => name !== "path"); // that one is put there by `bindings`
    expect(values.sort()).toEqual(own.sort());
  });

  it.each(Object.keys(signatures))("has the signature of %s", (name) => {
    const { parameters, returns } = signatures[name]!;
    const expected = parameters.map((parameter) => `${parameter.name}: ${typeOf[parameter.kind]}`);
    expect(declared.get(name)).toEqual({ parameters: expected, returns });
  });

  it.each(["Device", "Tensor", "Graph"] as const)("has the members of %s", (name) => {
    const prototype = native[name].prototype as object;
    const own = Object.getOwnPropertyNames(prototype).filter((member) => member !== "constructor");
    // A tensor's device is a property of each.
    expect(members(name).sort()).toEqual([...own, ...(name === "Tensor" ? ["device"] : [])].sort());
  });
});

it("the tests' valid calls have every operation with its parameters", () => {
  const called = operations(open("cpu")).map(({ name, arguments: list }) => [
    name,
    list.map((argument) => ({ name: argument.name, kind: argument.kind })),
  ]);
  const asked = Object.entries(signatures).map(([name, { parameters }]) => [
    name,
    parameters.map((parameter) => ({ name: parameter.name, kind: parameter.kind })),
  ]);
  expect(Object.fromEntries(called)).toEqual(Object.fromEntries(asked));
});

it("every operation of kernels.h is in the binding", () => {
  const plain = (name: string) => name.replaceAll("_", "").toLowerCase();
  const bound = new Set(Object.keys(signatures).map(plain));
  const kernels = [...read("native/kernels.h").matchAll(/virtual \w+ (\w+)\(/g)].map(([, name]) => name!);
  expect(kernels.length).toBe(bound.size);
  expect(kernels.filter((name) => !bound.has(plain(name)))).toEqual([]);
});

it("every operation is called by a test in test/operations", () => {
  const folder = fileURLToPath(new URL("../operations", import.meta.url));
  const tests = readdirSync(folder).filter((name) => name.endsWith(".test.ts"));
  const text = tests.map((name) => read(`test/operations/${name}`)).join("\n");
  const untested = Object.keys(signatures).filter((name) => !text.includes(`native.${name}(`));
  expect(untested.filter((name) => signatures[name]!.returns === "void")).toEqual([]);
});

it("lib/limits.ts is what `npm run limits` writes", () => {
  expect(limits).toEqual(native.limits);
  expect(read("lib/limits.ts")).toBe(limitsFile(native.limits));
});
