/** The tokens of segments that have been encoded before. */

/** Segments kept: some 40 MB. */
const MOST_SEGMENTS = 1 << 18;
/** Longer segments, in UTF-16 units, hardly come twice. */
const LONGEST = 64;

/** At the beginning of a text a segment may have other tokens than behind a cut. */
export type Side = "beginning" | "behind";

/** A segment whose tokens are not known yet. */
export interface PendingSegment {
  readonly text: string;
  readonly side: Side;
}

/** Numbers segments and keeps their tokens; forgets all when it is full, between batches. */
export class SegmentCache {
  readonly #numbers: Readonly<Record<Side, Map<string, number>>> = { beginning: new Map(), behind: new Map() };
  #pending: PendingSegment[] = [];
  #count = 0;
  #ends = new Uint32Array(1 << 12);
  #ids = new Uint32Array(1 << 14);

  /** The number of a segment, valid until `beginBatch`. */
  number(text: string, side: Side): number {
    const numbers = this.#numbers[side];
    const known = numbers.get(text);
    if (known !== undefined) return known;
    const number = this.#count + this.#pending.length;
    this.#pending.push({ text, side });
    if (text.length <= LONGEST) numbers.set(copyOf(text), number);
    return number;
  }

  /** Called before the segments of a batch are numbered. */
  beginBatch(): void {
    if (this.#count < MOST_SEGMENTS) return;
    this.#numbers.beginning.clear();
    this.#numbers.behind.clear();
    this.#count = 0;
  }

  /** The segments numbered since the last call, in order; their tokens are to be added next. */
  takePending(): PendingSegment[] {
    const pending = this.#pending;
    this.#pending = [];
    return pending;
  }

  /** Adds the tokens of the next segment. */
  add(ids: ArrayLike<number>): void {
    const start = this.#count === 0 ? 0 : this.#ends[this.#count - 1]!;
    const end = start + ids.length;
    if (end > this.#ids.length) this.#ids = grown(this.#ids, end);
    if (this.#count === this.#ends.length) this.#ends = grown(this.#ends, this.#count + 1);
    this.#ids.set(ids, start);
    this.#ends[this.#count++] = end;
  }

  /** The tokens of numbered segments, one after another. */
  tokens(numbers: Uint32Array): Uint32Array<ArrayBuffer> {
    const ends = this.#ends;
    const ids = this.#ids;
    let length = 0;
    for (const number of numbers) length += ends[number]! - (number === 0 ? 0 : ends[number - 1]!);
    const tokens = new Uint32Array(length);
    let at = 0;
    for (const number of numbers) {
      const end = ends[number]!;
      for (let i = number === 0 ? 0 : ends[number - 1]!; i < end; i++) tokens[at++] = ids[i]!;
    }
    return tokens;
  }
}

/** A part of a string keeps the whole string alive; its copy does not. */
function copyOf(text: string): string {
  return Buffer.from(text, "utf16le").toString("utf16le");
}

function grown(array: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.max(length, 2 * array.length));
  larger.set(array);
  return larger;
}
