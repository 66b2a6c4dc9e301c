/**
 * Writes lib/data/bpe/character_ranges.ts from the package `tokenizers`: `npm run character-ranges`, after an update of
 * the package that test/data/bpe/split.test.ts does not pass with.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { byteLevelPreTokenizer, digitsPreTokenizer } from "tokenizers";
import { encodeRanges } from "../lib/data/bpe/character_classes.js";

const words = byteLevelPreTokenizer(false, true);
const digits = digitsPreTokenizer(true);

/** The ranges of the code points that pass. */
function ranges(passes: (character: string) => boolean): [number, number][] {
  const found: [number, number][] = [];
  for (let code = 0; code < 0x110000; code++) {
    if ((code >= 0xd800 && code < 0xe000) || !passes(String.fromCodePoint(code))) continue;
    const last = found.at(-1);
    if (last?.[1] === code) last[1]++;
    else found.push([code, code + 1]);
  }
  return found;
}

/** The string as lines of code. */
function constant(name: string, description: string, text: string): string[] {
  const lines = text.match(/.{1,110}(?: |$)/g)!;
  const parts = lines.map((line, i) => `  ${JSON.stringify(line)}${i === lines.length - 1 ? ";" : " +"}`);
  return [`/** ${description} */`, `export const ${name} =`, ...parts, ""];
}

// A letter continues a word of letters, a number one of numbers.
const letters = ranges((character) => words.preTokenizeString(`a${character}`).length === 1);
const numbers = ranges((character) => words.preTokenizeString(`1${character}`).length === 1);
const single = ranges((character) => digits.preTokenizeString(`a${character}`).length === 2);

writeFileSync(
  fileURLToPath(new URL("../lib/data/bpe/character_ranges.ts", import.meta.url)),
  [
    "/**",
    " * Ranges of code points, as `encodeRanges` writes them. Written by `npm run character-ranges` from what the package",
    " * `tokenizers` does.",
    " */",
    "",
    ...constant("LETTER_RANGES", "`\\p{L}` of the package's regular expressions.", encodeRanges(letters)),
    ...constant("NUMBER_RANGES", "`\\p{N}` of the package's regular expressions.", encodeRanges(numbers)),
    ...constant("DIGIT_RANGES", "What the package's `Digits` splits off.", encodeRanges(single)).slice(0, -1),
    "",
  ].join("\n"),
);
