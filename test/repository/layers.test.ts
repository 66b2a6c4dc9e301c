/**
 * The layers of lib/, as an executable document: a file imports only from its own layer or lower ones, and there are no
 * import cycles.
 */

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "@jest/globals";

/** Lowest first: a room is a folder of lib/, or a file that lies in lib/ itself. */
const floors: readonly (readonly string[])[] = [
  ["errors", "native", "limits", "nearest", "arguments", "device_names", "device", "ranks", "disk"],
  ["config", "hf", "data"],
  ["nn"],
  ["optim", "report"],
  ["train", "evaluate", "generate", "gguf"],
  ["compare", "bench", "check", "plan", "watch"],
  ["cli", "index", "kernels"],
];

const lib = fileURLToPath(new URL("../../lib", import.meta.url));
const files = readdirSync(lib, { encoding: "utf8", recursive: true }).filter((file) => file.endsWith(".ts"));

const floorOf = (file: string): number => {
  const room = file.split("/")[0]!.replace(/\.ts$/, "");
  return floors.findIndex((rooms) => rooms.includes(room));
};

/** The files of lib/ that a file imports, types included. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(lib, file), "utf8");
  const specifiers = text.matchAll(/(?:\bfrom\s+|\bimport\s*\(?\s*)"(\.[^"]+)"/g);
  return [...specifiers]
    .map(([, specifier]) => normalize(join(dirname(file), specifier!)).replace(/\.js$/, ".ts"))
    .filter((target) => !target.startsWith(".."));
}

const imports = new Map(files.map((file) => [file, importsOf(file)]));

/** The first circle that a walk along the imports closes, from a file back to itself. */
function circle(): string[] | null {
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const target of imports.get(file) ?? []) {
      const found = walk(target, [...path, file]);
      if (found) return found;
    }
    done.add(file);
    return null;
  };
  for (const file of files) {
    const found = walk(file, []);
    if (found) return found;
  }
  return null;
}

test("every file of lib stands on a floor, and every import leads to a file of lib", () => {
  expect(files.length).toBeGreaterThan(80);
  expect(files.filter((file) => floorOf(file) === -1)).toEqual([]);
  const targets = [...imports].flatMap(([file, list]) => list.map((target) => `${file} -> ${target}`));
  expect(targets.length).toBeGreaterThan(200);
  expect(targets.filter((arrow) => !imports.has(arrow.split(" -> ")[1]!))).toEqual([]);
});

test("no import leads to a higher floor", () => {
  const up = files.flatMap((file) =>
    imports
      .get(file)!
      .filter((target) => floorOf(target) > floorOf(file))
      .map((target) => `${file} -> ${target}`),
  );
  expect(up).toEqual([]);
});

test("no file imports itself by way of others", () => {
  expect(circle()).toBeNull();
});
