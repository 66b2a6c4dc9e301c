/**
 * YAML within limits. The package recurses into what is nested, at great depth into an error that ends the process, and
 * some of its checks take the square of what there is: so the text is looked through first, token by token.
 */
import { isAlias, isCollection, isScalar, Lexer, LineCounter, parseDocument, visit } from "yaml";
import { inBytes, inputLimits } from "../disk/input_limits.js";
import { checkValue } from "./value_limits.js";

/** Parses a YAML text of one document. Throws an Error whose message begins with a line that says what is wrong. */
export function parseYaml(text: string): unknown {
  const { config } = inputLimits;
  if (text.length > config) throw new Error(`more than ${inBytes(config)}`);
  checkTokens(text);
  const lines = new LineCounter();
  // Its own search for duplicates compares each key with all others.
  const document = parseDocument(text, { uniqueKeys: false, lineCounter: lines });
  const [error] = document.errors;
  if (error !== undefined) throw error;
  const placeOf = (offset = 0) => {
    const { line, col } = lines.linePos(offset);
    return `at line ${line}, column ${col}`;
  };
  visit(document, {
    Map: (_, { items }) => {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        // A scalar is an object where a tag makes it bytes.
        const isBytes = isScalar(key) && typeof key.value === "object" && key.value !== null;
        if (isCollection(key) || isAlias(key) || isBytes) {
          throw new Error(`a key that is no plain text ${placeOf(key.range?.[0])}`);
        }
        if (!isScalar(key)) continue;
        if (seen.has(key.value)) throw new Error(`Map keys must be unique ${placeOf(key.range?.[0])}`);
        seen.add(key.value);
      }
    },
  });
  const value = document.toJS() as unknown;
  checkValue(value);
  return value;
}

/** Throws an Error for a text with too much nesting, too many tokens or too many anchors, aliases and tags. */
function checkTokens(text: string): void {
  const { configDepth, configValues, configAnchors } = inputLimits;
  let tokens = 0;
  let anchors = 0;
  let flow = 0;
  /** Columns at which the blocks begin that a line is in. */
  const blocks: number[] = [];
  let column = 0;
  let isLineStart = true;
  for (const token of new Lexer().lex(text)) {
    const first = token[0];
    if (first === "\n" || first === "\r") {
      column = 0;
      isLineStart = true;
      continue;
    }
    if (first === " " || first === "\t" || first === "#") {
      column += token.length;
      continue;
    }
    if (++tokens > configValues) throw new Error(`more than ${configValues} tokens`);
    if ((first === "&" || first === "*" || first === "!") && ++anchors > configAnchors) {
      throw new Error(`more than ${configAnchors} anchors, aliases and tags`);
    }
    if (token === "[" || token === "{") flow++;
    else if (token === "]" || token === "}") flow = Math.max(0, flow - 1);
    else if (flow === 0 && (isLineStart || token === "-" || token === "?")) {
      while (blocks.length > 0 && blocks.at(-1)! >= column) blocks.pop();
      blocks.push(column);
      isLineStart = token === "-" || token === "?";
    }
    if (flow + blocks.length > configDepth) throw new Error(`sections and lists nested more than ${configDepth} deep`);
    column += token.length;
  }
}
