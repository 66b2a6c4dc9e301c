/** A built package's exports, from its type declarations: one line for every member, without comments. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const withoutComments = (text: string) => text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
const oneLine = (text: string) => text.replace(/\s+/g, " ").trim();

/** The file that a declaration file names by a relative specifier. */
function fileOf(specifier: string, from: string): string {
  return join(dirname(from), specifier.replace(/\.js$/, ".d.ts"));
}

/** The parts of a text between semicolons or braces at its outermost level. */
function statements(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if ("{([".includes(character)) depth++;
    if ("})]".includes(character)) depth--;
    const ends = depth === 0 && (character === ";" || (character === "}" && text[i + 1] !== ";"));
    // A type that goes on after its braces, as in `{ a: 1 } & B`, ends at its semicolon.
    const goesOn = character === "}" && !/^\s*(\n|$)/.test(text.slice(i + 1));
    if (!ends || goesOn) continue;
    parts.push(text.slice(start, i + 1));
    start = i + 1;
  }
  return parts.map(oneLine).filter((part) => part !== "" && part !== ";");
}

/** The lines of a declaration: its head, and for a class, interface or namespace each member behind it. */
function lines(declaration: string): string[] {
  const opened = /^((?:declare )?(?:abstract )?(?:class|interface|namespace) [^{]*?) ?\{([\s\S]*)\}$/.exec(declaration);
  const plain = (text: string) =>
    oneLine(text)
      .replace(/^declare /, "")
      .replace(/;$/, "");
  if (!opened) return [plain(declaration)];
  const [, head, body] = opened;
  const name = / (\w+)/.exec(plain(head!))![1]!;
  const members = statements(body!).filter((member) => !/^(#private|private )/.test(member));
  return [plain(head!), ...members.map((member) => `${name}: ${plain(member)}`)];
}

/** Every declaration of a name that a file exports, wherever it is made. */
function declarationsOf(name: string, file: string): string[] {
  const text = withoutComments(readFileSync(file, "utf8"));
  const all = statements(text);
  const own = all
    .map((statement) => statement.replace(/^export /, ""))
    .filter((statement) =>
      new RegExp(`^(declare )?(abstract )?(class|interface|namespace|function|const|type) ${name}\\b`).test(statement),
    );
  const list = all.flatMap((statement) => /^export (?:type )?\{([^}]*)\} from "([^"]+)"/.exec(statement) ?? []);
  if (own.length > 0) return own;
  for (let i = 0; i + 2 < list.length; i += 3) {
    const names = list[i + 1]!.split(",").map((item) => item.replace(/\btype\b/, "").trim());
    if (names.includes(name)) return declarationsOf(name, fileOf(list[i + 2]!, file));
  }
  throw new Error(`${file}: expected a declaration of ${name} but received none`);
}

/** The names that a file exports. */
export function exportedNames(file: string): string[] {
  const names = statements(withoutComments(readFileSync(file, "utf8"))).flatMap((statement) => {
    const list = /^export (?:type )?\{([^}]*)\}/.exec(statement);
    if (list) return list[1]!.split(",").map((item) => item.replace(/\btype\b/, "").trim());
    return (
      /^export (?:declare )?(?:abstract )?(?:class|interface|namespace|function|const|type) (\w+)/.exec(
        statement,
      )?.[1] ?? []
    );
  });
  return [...new Set(names)].filter((name) => name !== "").sort();
}

/** An export of a declaration file with its members, one a line. */
export function declarationLines(name: string, file: string): string[] {
  return declarationsOf(name, file).flatMap(lines);
}

/** Every export of a declaration file, sorted by name. */
export function publicDeclarations(file: string): string[] {
  return exportedNames(file).flatMap((name) => declarationLines(name, file));
}
