/**
 * The table of a `Precompiled` normalizer, as SentencePiece writes it: the bytes of a double-array trie (uint32, little
 * endian), the trie, and the texts that it points to, each with a NUL behind it. The library reads it without looking
 * where it reads.
 */

import { isUtf8 } from "node:buffer";

/** A unit of the trie: the label of the edge that leads to it, where its children are, and whether it has a value. */
const isValue = (unit: number): boolean => unit >>> 31 === 1;
const offsetOf = (unit: number): number => ((unit >>> 10) << ((unit & 0x200) >>> 6)) >>> 0;

/** What is wrong with a table, in words; null: nothing. */
export function precompiledProblem(table: Buffer): string | null {
  if (table.length < 4) return `${table.length} bytes`;
  const size = table.readUInt32LE();
  if (size < 4 || size % 4 !== 0 || size > table.length - 4) {
    return `${table.length} bytes that say they begin with a trie of ${size}`;
  }
  const texts = table.subarray(4 + size);
  if (!isUtf8(texts)) return "texts that are not UTF-8";
  const units = size / 4;
  const lastEnd = texts.lastIndexOf(0);
  for (let index = 0; index < units; index++) {
    const unit = table.readUInt32LE(4 + 4 * index);
    if (!isValue(unit)) {
      // Its children are in the block of 256 units around the place that it points to.
      if (((index ^ offsetOf(unit)) | 0xff) >= units) return "a trie that points beyond its end";
      continue;
    }
    const start = unit & 0x7fffffff;
    if (start > lastEnd || (texts[start]! & 0xc0) === 0x80) return "a trie that points to no text";
  }
  return null;
}
