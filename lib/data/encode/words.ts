/**
 * Cuts between all words of a pre-tokenizer that is a known regular expression (GPT-2, Llama 3, Qwen and others), which
 * JavaScript's own finds at a hundred megabytes per second.
 *
 * The two engines may know different versions of Unicode. So each character is tried once with both, among letters,
 * digits, punctuation and white space: text around one that they see differently is left to the library whole.
 */
import type { Range } from "./added_tokens.js";
import type { Rule } from "./rule.js";
import { Guard, spaceCutAfter, spaceCutBefore, spaces } from "./spaces.js";

/** Boundaries between the words of a text, in code points, as the library finds them. */
export type Split = (text: string) => number[];

/** Letters that are another case of k and s, by which contractions are found whatever their case. */
const KELVIN_AND_LONG_S = [0x212a, 0x017f];
const NOT_ASCII = /[^\0-\x7f]/g;
const WHITESPACE = /\s/;
/** What a match may have looked at behind its end: a contraction, or digits. */
const MARGIN = 4;

const UNKNOWN = 0;
const SAME = 1;
const OTHER = 2;

export class WordRule implements Rule {
  readonly #expression: RegExp;
  readonly #split: Split;
  readonly #inert: (character: string) => boolean;
  readonly #kinds = new Uint8Array(0x110000);

  /**
   * @param expression finds the words
   * @param split the words that the library finds
   * @param inert whether the normalizer leaves a character alone, whatever stands beside it
   */
  constructor(expression: RegExp, split: Split, inert: (character: string) => boolean) {
    this.#expression = expression;
    this.#split = split;
    this.#inert = inert;
    for (const code of KELVIN_AND_LONG_S) this.#kinds[code] = OTHER;
  }

  segments(text: string, guarded: readonly Range[], emit: (end: number) => void): void {
    let at = 0;
    const left = this.#left(text, guarded);
    const guard = new Guard(left);
    for (const { start, end } of left) {
      if (end <= at) continue;
      this.#words(text, at, spaceCutBefore(text, Math.max(start, at), at), emit);
      at = spaceCutAfter(text, Math.max(end, 1));
      while (at < text.length) {
        const other = guard.endAround(at);
        if (other === undefined) break;
        at = spaceCutAfter(text, other);
      }
      emit(at);
    }
    this.#words(text, at, text.length, emit);
  }

  lastCut(text: string, guarded: readonly Range[], limit: number): number {
    const simple = spaces.lastCut(text, guarded, limit);
    if (simple > limit / 2) return simple;
    let last = simple;
    this.segments(text, guarded, (at) => {
      if (at > limit || at + MARGIN > text.length || at <= last || isSpace(text, at)) return;
      // At the end of a text white space is one word, which it may not be in its midst.
      if (!isSpace(text, at - 1) || at === 1 || !isSpace(text, at - 2)) last = at;
    });
    return last;
  }

  #words(text: string, from: number, to: number, emit: (end: number) => void): void {
    const expression = this.#expression;
    expression.lastIndex = from;
    while (expression.lastIndex < to && expression.test(text)) emit(expression.lastIndex);
  }

  /** What is left to the library: the guarded ranges, and characters that the two see differently. */
  #left(text: string, guarded: readonly Range[]): readonly Range[] {
    NOT_ASCII.lastIndex = 0;
    if (!NOT_ASCII.test(text)) return guarded;
    const ranges = [...guarded];
    for (let at = NOT_ASCII.lastIndex - 1; at < text.length; at++) {
      let code = text.charCodeAt(at);
      if (code < 0x80) continue;
      const start = at;
      if (code >= 0xd800 && code < 0xdc00) {
        code = text.codePointAt(at)!;
        if (code > 0xffff) at++;
      }
      if (this.#kind(code) === OTHER) ranges.push({ start: start - 1, end: at + 2 });
    }
    return ranges.sort((a, b) => a.start - b.start);
  }

  #kind(code: number): number {
    if (this.#kinds[code] === UNKNOWN) this.#kinds[code] = this.#compare(code);
    return this.#kinds[code]!;
  }

  #compare(code: number): number {
    const c = String.fromCodePoint(code);
    if (!c.isWellFormed() || !this.#inert(c)) return OTHER;
    const text = `a${c}a A${c}A a${c}A 1${c}1 !${c}! ${c} x  ${c}\n${c}\n '${c}s ${c}/\n`;
    const ends: number[] = [];
    this.#words(text, 0, text.length, (end) => ends.push([...text.slice(0, end)].length));
    const library = this.#split(text);
    return ends.length === library.length && ends.every((end, i) => end === library[i]) ? SAME : OTHER;
  }
}

function isSpace(text: string, at: number): boolean {
  return WHITESPACE.test(text[at]!) || text[at] === "\u0085";
}
