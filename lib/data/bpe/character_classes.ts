/**
 * The classes of characters that pre-tokenizers split by, as the package `tokenizers` knows them.
 *
 * `\p{L}` and `\p{N}` of JavaScript would not do: the package's regular expressions know an older Unicode than today's
 * V8, which V8 depends on the Node version, and its splitting of digits knows a newer one than its regular expressions.
 */
import { DIGIT_RANGES, LETTER_RANGES, NUMBER_RANGES } from "./character_ranges.js";

export const OTHER = 0;
export const LETTER = 1;
export const NUMBER = 2;
export const SPACE = 3;
/** The bits of the four classes above, of which a character has one. */
export const CLASS = 3;
/** A bit beside the class: `Digits` takes the character for a digit. */
export const DIGIT = 4;

/** First and last code points of white space, `\s`. */
const SPACE_RANGES: readonly (readonly [number, number])[] = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0x85, 0x85],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
];

let table: Uint8Array | undefined;

/** The class of every code point, and whether it is a digit. Made on first use. */
export function characterClasses(): Uint8Array {
  if (table !== undefined) return table;
  const classes = new Uint8Array(0x110000);
  for (const [first, last] of SPACE_RANGES) classes.fill(SPACE, first, last + 1);
  for (const [first, end] of decodeRanges(LETTER_RANGES)) classes.fill(LETTER, first, end);
  for (const [first, end] of decodeRanges(NUMBER_RANGES)) classes.fill(NUMBER, first, end);
  for (const [first, end] of decodeRanges(DIGIT_RANGES)) {
    for (let code = first; code < end; code++) classes[code]! |= DIGIT;
  }
  table = classes;
  return classes;
}

/** Ranges as text: in turn how many code points are left out and how many are in, in base 36. */
export function encodeRanges(ranges: Iterable<readonly [first: number, end: number]>): string {
  const steps: string[] = [];
  let at = 0;
  for (const [first, end] of ranges) {
    steps.push((first - at).toString(36), (end - first).toString(36));
    at = end;
  }
  return steps.join(" ");
}

/** The ranges that `encodeRanges` wrote. */
function* decodeRanges(text: string): Generator<[first: number, end: number]> {
  const steps = text.split(" ").map((step) => Number.parseInt(step, 36));
  let at = 0;
  for (let i = 0; i < steps.length; i += 2) {
    const first = at + steps[i]!;
    at = first + steps[i + 1]!;
    yield [first, at];
  }
}
