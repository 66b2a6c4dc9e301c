/** The declarations of a built package's exports, with their doc comments, as an editor shows them. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** A declaration at the outermost level of a file. */
export interface Declaration {
  /** What it declares: `function`, `class`, `interface`, `type`, `const` or `namespace`. */
  readonly kind: string;
  /** The text, with the doc comment before it. */
  readonly text: string;
}

const start = /^(?:\/\*\*|import\b|export\b|declare\b|interface\b|type\b|class\b|function\b|const\b)/;
const head = /^(?:export )?(?:declare )?(?:abstract )?(function|class|interface|type|const|namespace) (\w+)/m;

/** A file that tsc has written, cut into its declarations: what begins in the first column, with the comment before. */
function declarationsIn(file: string): { name: string; declaration: Declaration }[] {
  const parts: string[][] = [];
  for (const line of readFileSync(file, "utf8").split("\n")) {
    const last = parts.at(-1);
    const comment = last !== undefined && /^(\/\*\*| \*)/.test(last.at(-1)!);
    if (last === undefined || (start.test(line) && !(comment && !line.startsWith("/**")))) parts.push([line]);
    else last.push(line);
  }
  return parts.flatMap((lines) => {
    const text = lines.join("\n");
    const [, kind, name] = head.exec(text.replace(/^\/\*\*[\s\S]*?\*\/\n/, "")) ?? [];
    return kind === undefined ? [] : [{ name: name!, declaration: { kind, text } }];
  });
}

/** The declarations of a name that a file exports, wherever they are made: of functions with a namespace, both. */
export function declarationsOf(name: string, file: string): Declaration[] {
  const own = declarationsIn(file).filter((each) => each.name === name);
  if (own.length > 0) return own.map(({ declaration }) => declaration);
  const text = readFileSync(file, "utf8");
  for (const [, names, specifier] of text.matchAll(/^export (?:type )?\{([^}]*)\} from "([^"]+)"/gm)) {
    if (!names!.split(",").some((item) => item.replace(/\btype\b/, "").trim() === name)) continue;
    const beside = join(dirname(file), specifier!.replace(/\.js$/, ".d.ts"));
    return declarationsOf(name, existsSync(beside) ? beside : file);
  }
  throw new Error(`${file}: expected a declaration of ${name} but received none`);
}
