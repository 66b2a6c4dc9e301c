/** Gathers texts in UTF-8 into chunks of bounded size. */
import { characterClasses } from "./character_classes.js";
import type { TextChunk } from "./count_texts.js";
import { lastCut } from "./split.js";
import { grown } from "./word_counts.js";

/** Bytes of text in a chunk, about. */
const CHUNK = 1 << 21;

/** UTF-16 units that are encoded at a time, and the most bytes that they take. */
const SLICE = 1 << 16;
const SLICE_BYTES = 3 * SLICE;

export class ChunkWriter {
  #bytes = new Uint8Array(CHUNK + SLICE_BYTES);
  #length = 0;
  /** Where the texts before the last one end. */
  #ends: number[] = [];
  /** Where the last text begins or the search for a place to cut it goes on. */
  #from = 0;

  /** Adds a text, or the next part of the last one, and gives the chunks that are full. */
  *add(text: string, isNew: boolean): Generator<TextChunk> {
    if (isNew && this.#length > 0) {
      this.#ends.push(this.#length);
      this.#from = this.#length;
    }
    for (let at = 0; at < text.length; ) {
      let end = Math.min(text.length, at + SLICE);
      if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end--;
      this.#append(text.slice(at, end));
      at = end;
      if (this.#length < CHUNK) continue;
      const chunk = this.#full();
      if (chunk !== null) yield chunk;
    }
  }

  /** What is left; the writer is empty afterwards. */
  rest(): TextChunk {
    return this.#take(this.#length, 0);
  }

  #append(text: string): void {
    if (this.#length + SLICE_BYTES > this.#bytes.length) this.#bytes = grown(this.#bytes, 2 * this.#bytes.length);
    this.#length += encoder.encodeInto(text, this.#bytes.subarray(this.#length)).written;
  }

  /** The text so far up to a place where it can be cut, null if it has none. */
  #full(): TextChunk | null {
    const cut = lastCut(this.#bytes.subarray(0, this.#length), this.#from, characterClasses());
    if (cut !== -1) return this.#take(cut, 0);
    this.#from = this.#length - 1;
    const whole = this.#ends.pop();
    return whole === undefined ? null : this.#take(whole, this.#from - whole);
  }

  /** The texts up to `cut`; `from` is where in the rest the search goes on. */
  #take(cut: number, from: number): TextChunk {
    const bytes = this.#bytes;
    const rest = bytes.subarray(cut, this.#length);
    const ends = Uint32Array.from([...this.#ends, cut]);
    this.#bytes = new Uint8Array(Math.max(CHUNK, rest.length) + SLICE_BYTES);
    this.#bytes.set(rest);
    this.#length = rest.length;
    this.#ends = [];
    this.#from = from;
    return { bytes, ends };
  }
}

const encoder = new TextEncoder();

function isHighSurrogate(unit: number): boolean {
  return unit >> 10 === 0xd800 >> 10;
}
