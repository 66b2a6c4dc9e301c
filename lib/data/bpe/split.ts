/** Splits UTF-8 text into the words that BPE learns from, exactly as the package's pre-tokenizers do. */
import { CLASS, DIGIT, OTHER, SPACE } from "./character_classes.js";

/** Receives the words of a text in order: the bytes from `from` to before `to`. */
export type WordSink = (text: Uint8Array, from: number, to: number) => void;

const APOSTROPHE = 0x27;
const BLANK = 0x20;
const LINE_FEED = 0x0a;

/** Length of the UTF-8 sequence that begins with a byte. */
function width(lead: number): number {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/** The code point at `at` of valid UTF-8. */
export function codePointAt(text: Uint8Array, at: number): number {
  const lead = text[at]!;
  if (lead < 0x80) return lead;
  if (lead < 0xe0) return ((lead & 0x1f) << 6) | (text[at + 1]! & 0x3f);
  const middle = ((text[at + 1]! & 0x3f) << 6) | (text[at + 2]! & 0x3f);
  if (lead < 0xf0) return ((lead & 0x0f) << 12) | middle;
  return ((lead & 0x07) << 18) | (middle << 6) | (text[at + 3]! & 0x3f);
}

/** The first position from `at` on whose character is not of the class. */
function endOfRun(text: Uint8Array, at: number, to: number, classes: Uint8Array, kind: number): number {
  while (at < to && (classes[codePointAt(text, at)]! & CLASS) === kind) at += width(text[at]!);
  return at;
}

/** Length of one of 's 't 're 've 'm 'll 'd at `at`, 0 if none is there. */
function contraction(text: Uint8Array, at: number, to: number): number {
  if (at + 1 >= to) return 0;
  const next = String.fromCharCode(text[at + 1]!);
  if (next === "s" || next === "t" || next === "m" || next === "d") return 2;
  if (at + 2 >= to) return 0;
  const two = next + String.fromCharCode(text[at + 2]!);
  return two === "re" || two === "ve" || two === "ll" ? 3 : 0;
}

/** Splits by GPT-2's expression: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
function splitByExpression(text: Uint8Array, from: number, to: number, classes: Uint8Array, sink: WordSink): void {
  let at = from;
  while (at < to) {
    const start = at;
    if (text[at] === APOSTROPHE) {
      const length = contraction(text, at, to);
      at = length > 0 ? at + length : endOfRun(text, at + 1, to, classes, OTHER);
      sink(text, start, at);
      continue;
    }
    let kind = classes[codePointAt(text, at)]! & CLASS;
    if (text[at] === BLANK && at + 1 < to) {
      const next = classes[codePointAt(text, at + 1)]! & CLASS;
      if (next !== SPACE) {
        kind = next;
        at++;
      }
    }
    if (kind !== SPACE) {
      at = endOfRun(text, at + width(text[at]!), to, classes, kind);
      sink(text, start, at);
      continue;
    }
    // White space before something else leaves its last character to the next word.
    let last = at;
    while (at < to && (classes[codePointAt(text, at)]! & CLASS) === SPACE) {
      last = at;
      at += width(text[at]!);
    }
    if (at < to && last > start) at = last;
    sink(text, start, at);
  }
}

/**
 * Words as `ByteLevel` makes them, of the text from `from` to `to`; with `splitDigits` every digit is a word, and what
 * lies between two is split as a text of its own: `Digits(individual_digits=True)` before `ByteLevel`.
 */
export function splitByteLevel(
  text: Uint8Array,
  [from, to]: readonly [from: number, to: number],
  classes: Uint8Array,
  splitDigits: boolean,
  sink: WordSink,
): void {
  let start = from;
  for (let at = from; splitDigits && at < to; ) {
    const next = at + width(text[at]!);
    if ((classes[codePointAt(text, at)]! & DIGIT) !== 0) {
      splitByExpression(text, start, at, classes, sink);
      sink(text, at, next);
      start = next;
    }
    at = next;
  }
  splitByExpression(text, start, to, classes, sink);
}

/**
 * Words as SentencePiece makes them: each blank begins one, line breaks are in none, and with `splitDigits` every digit
 * is one. In terms of the package: `Metaspace`, then `Split("\n", "removed")`, then `Digits(individual_digits=True)`.
 */
export function splitAtBlanks(
  text: Uint8Array,
  [from, to]: readonly [from: number, to: number],
  classes: Uint8Array,
  splitDigits: boolean,
  sink: WordSink,
): void {
  let start = from;
  for (let at = from; at < to; ) {
    const next = at + width(text[at]!);
    const isDigit = splitDigits && (classes[codePointAt(text, at)]! & DIGIT) !== 0;
    const isBreak = text[at] === LINE_FEED;
    if (isDigit || isBreak || text[at] === BLANK) {
      if (at > start) sink(text, start, at);
      if (isDigit) sink(text, at, next);
      start = isDigit || isBreak ? next : at;
    }
    at = next;
  }
  if (to > start) sink(text, start, to);
}

/**
 * The last position of `text` after `from` where a text can be cut without changing its words, -1 if there is none:
 * before a blank or a line break that follows something else than white space. Words end there either way, and white
 * space is the only thing that a word looks ahead to.
 */
export function lastCut(text: Uint8Array, from: number, classes: Uint8Array): number {
  for (let at = text.length - 1; at > from; at--) {
    if (text[at] !== BLANK && text[at] !== LINE_FEED) continue;
    let before = at - 1;
    while ((text[before]! & 0xc0) === 0x80) before--;
    if ((classes[codePointAt(text, before)]! & CLASS) !== SPACE) return at;
  }
  return -1;
}
