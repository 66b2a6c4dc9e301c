/**
 * Cuts between characters that no token of a BPE vocabulary has beside each other. Where such a vocabulary is applied
 * to a whole text, without a pre-tokenizer (Llama 2, Gemma), tokens are merged from neighbours only: nothing is ever
 * merged across such a place, whatever stands elsewhere.
 */
import type { Range } from "./added_tokens.js";
import type { Rule } from "./rule.js";
import { Guard, isFree } from "./spaces.js";

const SPACE = 0x20;
const SMALL = 256;

export class PairRule implements Rule {
  readonly #replacement: number;
  readonly #small = new Uint8Array(SMALL * SMALL);
  readonly #large = new Set<number>();

  /**
   * @param tokens all texts that a merge can make
   * @param replacement the character that stands for a space in them
   */
  constructor(tokens: Iterable<string>, replacement: string) {
    this.#replacement = replacement.codePointAt(0)!;
    for (const token of tokens) {
      let before = -1;
      for (const character of token) {
        const code = character.codePointAt(0)!;
        if (before >= 0) this.#join(before, code);
        before = code;
      }
    }
  }

  segments(text: string, guarded: readonly Range[], emit: (end: number) => void): void {
    const guard = new Guard(guarded);
    let before = this.#codeAt(text, 0);
    for (let at = before > 0xffff ? 2 : 1; at < text.length; ) {
      const code = this.#codeAt(text, at);
      if (!this.#joined(before, code) && guard.endAround(at) === undefined) emit(at);
      before = code;
      at += code > 0xffff ? 2 : 1;
    }
    if (text.length > 0) emit(text.length);
  }

  lastCut(text: string, guarded: readonly Range[], limit: number): number {
    for (let at = Math.min(limit, text.length - 1); at > 0; at--) {
      const unit = text.charCodeAt(at);
      if (unit >= 0xdc00 && unit < 0xe000) continue;
      const before = at > 1 ? text.codePointAt(at - 2)! : 0;
      const left = before > 0xffff ? before : text.charCodeAt(at - 1);
      if (!this.#joined(this.#replaced(left), this.#codeAt(text, at)) && isFree(guarded, at)) return at;
    }
    return 0;
  }

  #codeAt(text: string, at: number): number {
    return this.#replaced(text.codePointAt(at) ?? 0);
  }

  #replaced(code: number): number {
    return code === SPACE ? this.#replacement : code;
  }

  #join(left: number, right: number): void {
    if (left < SMALL && right < SMALL) this.#small[left * SMALL + right] = 1;
    else this.#large.add(left * 0x110000 + right);
  }

  #joined(left: number, right: number): boolean {
    if (left < SMALL && right < SMALL) return this.#small[left * SMALL + right] === 1;
    return this.#large.has(left * 0x110000 + right);
  }
}
