/**
 * Encodes texts to exactly the ids of Hugging Face's `tokenizers`, several times as fast: texts are cut where the
 * tokenizer cannot see it (cutting.ts), and segments that have been encoded before are looked up.
 */
import type { Tokenizer as NativeTokenizer } from "tokenizers";
import type { Range } from "./added_tokens.js";
import { type Cutting, cuttingOf } from "./cutting.js";
import { type PendingSegment, SegmentCache, type Side } from "./segment_cache.js";

/** Segments given to the library at a time. */
const LIBRARY_BATCH = 4096;

/** A text, or a part of one that `Encoder.cut` made. */
export interface EncodePiece {
  readonly text: string;
  /** Whether it goes on where another piece of its text was cut. */
  readonly continues: boolean;
}

export class Encoder {
  readonly #native: NativeTokenizer;
  readonly #cutting: Cutting | undefined;
  readonly #cache = new SegmentCache();
  #numbers = new Uint32Array(1 << 12);
  #count = 0;

  /**
   * @param json the tokenizer.json
   * @param make makes the library's tokenizer of it, without truncation and padding
   */
  constructor(json: string, make: (json: string) => NativeTokenizer) {
    this.#native = make(json);
    this.#cutting = cuttingOf(json, make);
  }

  /** Whether texts may be given in pieces. */
  get cuts(): boolean {
    return this.#cutting !== undefined;
  }

  /** The last place where a text of which more may follow can be cut; 0 if there is none. */
  cut(text: string): number {
    const cutting = this.#cutting;
    if (cutting === undefined) return 0;
    // What may be the beginning of an added token stays together.
    const limit = text.length - cutting.addedTokens.longest - 2;
    return limit <= 0 ? 0 : cutting.rule.lastCut(text, cutting.addedTokens.guarded(text), limit);
  }

  /** The ids of each piece. */
  async encode(pieces: readonly EncodePiece[]): Promise<Uint32Array<ArrayBuffer>[]> {
    const cutting = this.#cutting;
    if (cutting === undefined) return this.#whole(pieces);
    this.#cache.beginBatch();
    const numbers = pieces.map((piece) => this.#segments(cutting, piece));
    const pending = this.#cache.takePending();
    for (const ids of await this.#encodePending(cutting, pending)) this.#cache.add(ids);
    return numbers.map((list) => this.#cache.tokens(list));
  }

  async #encodePending({ continuation }: Cutting, pending: readonly PendingSegment[]): Promise<number[][]> {
    const ids: number[][] = new Array(pending.length);
    for (const side of ["beginning", "behind"] as const) {
      const tokenizer = side === "behind" && continuation !== undefined ? continuation : this.#native;
      const chosen = [...pending.keys()].filter((i) => pending[i]!.side === side);
      for (let at = 0; at < chosen.length; at += LIBRARY_BATCH) {
        const batch = chosen.slice(at, at + LIBRARY_BATCH);
        const texts = batch.map((i) => pending[i]!.text);
        const encodings = await tokenizer.encodeBatch(texts, { addSpecialTokens: false });
        for (const [i, encoding] of encodings.entries()) ids[batch[i]!] = encoding.getIds();
      }
    }
    return ids;
  }

  async #whole(pieces: readonly EncodePiece[]): Promise<Uint32Array<ArrayBuffer>[]> {
    const encodings = await this.#native.encodeBatch(
      pieces.map(({ text }) => text),
      { addSpecialTokens: false },
    );
    return encodings.map((encoding) => Uint32Array.from(encoding.getIds()));
  }

  /** The numbers of a piece's segments. */
  #segments(cutting: Cutting, { text, continues }: EncodePiece): Uint32Array {
    this.#count = 0;
    if (cutting.continuation === undefined) {
      this.#cutInto(cutting, text, cutting.addedTokens.guarded(text), "behind");
    } else {
      this.#cutByTokens(cutting, text, continues);
    }
    return this.#numbers.slice(0, this.#count);
  }

  /** Where the text behind an added token begins anew, it is cut before each of them. */
  #cutByTokens(cutting: Cutting, text: string, continues: boolean): void {
    const starts = cutting.beginsAfterTokens ? clusters(cutting.addedTokens.find(text)) : [];
    let at = 0;
    for (const start of [...starts, text.length]) {
      if (start === at) continue;
      const part = text.slice(at, start);
      const begins = at > 0 || !continues || starts[0] === 0;
      const guarded = cutting.addedTokens.guarded(part);
      // What is put before a text changes how its beginning is split.
      if (begins) guarded.unshift({ start: -1, end: Math.max(1, guarded[0]?.start === -1 ? guarded.shift()!.end : 1) });
      this.#cutInto(cutting, part, guarded, begins ? "beginning" : "behind");
      at = start;
    }
  }

  #cutInto({ rule }: Cutting, text: string, guarded: readonly Range[], first: Side): void {
    let start = 0;
    rule.segments(text, guarded, (end) => {
      if (this.#count === this.#numbers.length) {
        const larger = new Uint32Array(2 * this.#count);
        larger.set(this.#numbers);
        this.#numbers = larger;
      }
      this.#numbers[this.#count++] = this.#cache.number(text.slice(start, end), start === 0 ? first : "behind");
      start = end;
    });
  }
}

/** The starts of added tokens that do not overlap an earlier one. */
function clusters(places: readonly Range[]): number[] {
  const starts: number[] = [];
  let end = 0;
  for (const place of places) {
    if (place.start >= end) starts.push(place.start);
    end = Math.max(end, place.end);
  }
  return starts;
}
