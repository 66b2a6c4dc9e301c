/** Where added tokens stand in a text, and how far around them no text may be cut. */
import type { AddedToken } from "./tokenizer_json.js";

const WHITESPACE = /[\s\u0085]/;

/** Part of a text, in UTF-16 units. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Finds added tokens. Whether the tokenizer takes each of them for a token is left to the tokenizer. */
export class AddedTokens {
  /** Length of the longest, in UTF-16 units; 0 without any. */
  readonly longest: number;
  readonly #expression: RegExp | undefined;

  constructor(tokens: readonly AddedToken[]) {
    const contents = [...new Set(tokens.map(({ content }) => content))].filter((content) => content !== "");
    this.longest = contents.reduce((most, { length }) => Math.max(most, length), 0);
    // In descending order, a longer one comes before one that it begins with.
    const sorted = contents.sort().reverse();
    if (sorted.length > 0) this.#expression = new RegExp(sorted.map(literal).join("|"), "gu");
  }

  /** All places of tokens, in order of their starts; places may overlap. */
  find(text: string): Range[] {
    const expression = this.#expression;
    if (expression === undefined) return [];
    const found: Range[] = [];
    expression.lastIndex = 0;
    for (let match = expression.exec(text); match !== null; match = expression.exec(text)) {
      const start = match.index;
      found.push({ start, end: start + match[0].length });
      expression.lastIndex = start + (text.codePointAt(start)! > 0xffff ? 2 : 1);
    }
    return found;
  }

  /** For each place the open interval in which a cut would change what the tokenizer sees around it. */
  guarded(text: string): Range[] {
    const ranges: { start: number; end: number }[] = [];
    for (let { start, end } of this.find(text)) {
      // A token may take the white space beside it, and look at the character there.
      while (start > 0 && WHITESPACE.test(text[start - 1]!)) start--;
      while (end < text.length && WHITESPACE.test(text[end]!)) end++;
      const range = { start: start - 1, end: end + 1 };
      const last = ranges.at(-1);
      if (last !== undefined && range.start < last.end) last.end = Math.max(last.end, range.end);
      else ranges.push(range);
    }
    return ranges;
  }
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
