/** Counts the words of a chunk of texts: what a counting thread does, and the main thread with a small corpus. */
import { characterClasses } from "./character_classes.js";
import { splitAtBlanks, splitByteLevel } from "./split.js";
import type { WordCounts } from "./word_counts.js";

/** How texts are split into words. */
export interface Splitting {
  /** `bytes` as `ByteLevel`, `characters` as SentencePiece. */
  readonly units: "bytes" | "characters";
  readonly splitDigits: boolean;
}

/** Texts in UTF-8, one after the other. */
export interface TextChunk {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where each text ends in `bytes`. */
  readonly ends: Uint32Array<ArrayBuffer>;
}

/** Adds the words of a chunk's texts to `words`. */
export function countTexts({ bytes, ends }: TextChunk, { units, splitDigits }: Splitting, words: WordCounts): void {
  const split = units === "bytes" ? splitByteLevel : splitAtBlanks;
  const classes = characterClasses();
  const sink = (text: Uint8Array, from: number, to: number): void => words.add(text, from, to);
  let from = 0;
  for (const to of ends) {
    split(bytes, [from, to], classes, splitDigits, sink);
    from = to;
  }
}
