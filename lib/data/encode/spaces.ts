/**
 * Cuts before a single space between an ASCII letter or digit and an ASCII letter. Every pre-tokenizer that splits at
 * spaces splits there, and no normalizer that works by character, or by a character and its marks, sees across.
 */
import type { Range } from "./added_tokens.js";
import type { Rule } from "./rule.js";

const SPACE = 0x20;

function isLetter(unit: number): boolean {
  const lower = unit | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

function isSpaceCut(text: string, at: number): boolean {
  if (text.charCodeAt(at) !== SPACE || at === 0 || !isLetter(text.charCodeAt(at + 1))) return false;
  const before = text.charCodeAt(at - 1);
  return isLetter(before) || isDigit(before);
}

/** The last such place from `least` to `at`; `least` if there is none. */
export function spaceCutBefore(text: string, at: number, least: number): number {
  while (at > least && !isSpaceCut(text, at)) at = text.lastIndexOf(" ", at - 1);
  return Math.max(at, least);
}

/** The first such place from `at` on; the text's end if there is none. */
export function spaceCutAfter(text: string, at: number): number {
  for (let found = text.indexOf(" ", at); found >= 0; found = text.indexOf(" ", found + 1)) {
    if (isSpaceCut(text, found)) return found;
  }
  return text.length;
}

/** Looks up positions, which only grow, in guarded ranges. */
export class Guard {
  readonly #ranges: readonly Range[];
  #next = 0;

  constructor(ranges: readonly Range[]) {
    this.#ranges = ranges;
  }

  /** The end of the range that holds a position, if one does. */
  endAround(at: number): number | undefined {
    while (this.#next < this.#ranges.length && this.#ranges[this.#next]!.end <= at) this.#next++;
    const range = this.#ranges[this.#next];
    return range !== undefined && range.start < at ? range.end : undefined;
  }
}

/** Whether a position is in none of the ranges. */
export function isFree(guarded: readonly Range[], at: number): boolean {
  return !guarded.some(({ start, end }) => start < at && at < end);
}

export const spaces: Rule = {
  segments(text, guarded, emit) {
    const guard = new Guard(guarded);
    for (let at = spaceCutAfter(text, 1); at < text.length; ) {
      const end = guard.endAround(at);
      if (end === undefined) emit(at);
      at = spaceCutAfter(text, end ?? at + 1);
    }
    if (text.length > 0) emit(text.length);
  },

  lastCut(text, guarded, limit) {
    let at = spaceCutBefore(text, limit, 0);
    while (at > 0 && !isFree(guarded, at)) at = spaceCutBefore(text, at - 1, 0);
    return at;
  },
};
