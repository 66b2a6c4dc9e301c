/** What the package exports is documented where it is declared. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";

const root = new URL("../../", import.meta.url);
const read = (file: URL) => readFileSync(fileURLToPath(file), "utf8");

/** The file that a module specifier names: a source, or the binding's hand-written types. */
function source(specifier: string, from: URL): URL {
  const module = new URL(specifier.replace(/\.js$/, ""), from);
  return new URL(`${module.href}${module.pathname.endsWith("/binding") ? ".d.ts" : ".ts"}`);
}

/** The names that a file exports from another, and that file. */
function reexports(file: URL): { name: string; from: URL }[] {
  const lists = [...read(file).matchAll(/^export (?:type )?\{([^}]*)\} from "([^"]+)";/gm)];
  return lists.flatMap(([, names, specifier]) =>
    names!
      .split(",")
      .map((name) => name.replace(/\btype\b/, "").trim())
      .filter((name) => name !== "")
      .map((name) => ({ name, from: source(specifier!, file) })),
  );
}

const declaration = (name: string) =>
  new RegExp(`^export (?:async |const |declare )*(?:class |interface |type |function\\*? )?${name}\\b`, "gm");

/** The text before each declaration of an exported name, wherever it is. */
function before(name: string, file: URL): string[] {
  const text = read(file);
  const found = [...text.matchAll(declaration(name))].map(({ index }) => text.slice(0, index).trimEnd());
  return found.length > 0
    ? found
    : reexports(file)
        .filter((other) => other.name === name)
        .flatMap((other) => before(name, other.from));
}

describe.each(["lib/index.ts", "lib/kernels.ts"])("%s", (path) => {
  const file = new URL(path, root);
  const own = [...read(file).matchAll(/^export (?:function|interface|type|class|const) (\w+)/gm)];
  const exported = [...reexports(file), ...own.map(([, name]) => ({ name: name!, from: file }))];

  it("exports nothing without a doc comment", () => {
    expect(exported.length).toBeGreaterThan(5);
    const undocumented = exported.filter(({ name, from }) => {
      const declarations = before(name, from);
      return declarations.length === 0 || !declarations.every((text) => text.endsWith("*/"));
    });
    expect(undocumented.map(({ name }) => name)).toEqual([]);
  });
});
