/** The pre-tokenizers whose words JavaScript's regular expressions find, and those expressions. */
import { type Part, regexPattern } from "./tokenizer_json.js";

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
const LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
const FIRST = "[^\\r\\n\\p{L}\\p{N}]?";
const ENDS = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** What `ByteLevel` splits by. */
const GPT2 = "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
/** `Digits(individual_digits=True)` before it: what lies between two digits is split as a text of its own. */
const DIGITS_GPT2 = "\\p{N}|'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?![^\\s\\p{N}])|\\s+";

function tiktoken(numbers: string): string {
  return `${CONTRACTIONS}|${FIRST}\\p{L}+|${numbers}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${ENDS}`;
}

function byCase(contractions: string, numbers: string): string {
  const words = `${FIRST}${UPPER}*${LOWER}+${contractions}|${FIRST}${UPPER}+${LOWER}*${contractions}`;
  return `${words}|${numbers}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${ENDS}`;
}

/** Patterns of `Split`, as they stand in tokenizer.json. */
const SPLIT_PATTERNS: ReadonlySet<string> = new Set([
  GPT2,
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  tiktoken("\\p{N}{1,3}"), // GPT-4, Llama 3
  tiktoken("\\p{N}"), // Qwen
  tiktoken("\\p{N}{1,2}"),
  tiktoken("\\p{N}+"),
  byCase(`${CONTRACTIONS}?`, "\\p{N}{1,3}"), // GPT-4o
  byCase("", "\\p{N}"), // Mistral's Tekken
  byCase("", "\\p{N}{1,3}"),
]);

/** The words of a list of pre-tokenizers as an expression that finds them one after another; else undefined. */
export function wordExpression(parts: readonly Part[]): RegExp | undefined {
  const [first, second, third] = parts;
  if (first === undefined || third !== undefined) return undefined;
  if (isByteLevel(first, true) && second === undefined) return expression(GPT2);
  if (first.type === "Digits" && first.individual_digits === true && isByteLevel(second, true)) {
    return expression(DIGITS_GPT2);
  }
  const pattern = splitPattern(first);
  if (pattern !== undefined && (second === undefined || isByteLevel(second, false))) return expression(pattern);
  return undefined;
}

/** The known pattern that a `Split` makes words of, every match one. */
export function splitPattern(part: Part): string | undefined {
  const pattern = regexPattern(part);
  if (part.type !== "Split" || pattern === undefined || !SPLIT_PATTERNS.has(pattern)) return undefined;
  // The patterns match everywhere: keeping matches and what is between them is keeping matches.
  const keeps = part.invert === true ? part.behavior === "Removed" : part.behavior === "Isolated";
  return keeps || part.behavior === "Isolated" ? pattern : undefined;
}

export function isByteLevel(part: Part | undefined, splits: boolean): boolean {
  return part?.type === "ByteLevel" && (part.use_regex ?? true) === splits;
}

function expression(pattern: string): RegExp {
  const insensitive = "'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])";
  // Node 20 has no (?i:…). The two letters whose other case is an ASCII letter are left to the library (words.ts).
  const parts = pattern.split(`${CONTRACTIONS}?`).join(`(?:${insensitive})?`).split(CONTRACTIONS);
  return new RegExp(parts.join(insensitive), "gu");
}
