/** Parquet's DELTA_BINARY_PACKED, as lengths have it: each number less the one before it, in blocks of packed bits. */
import { unpack } from "./hybrid.js";
import { readVarint, readZigzag } from "./varint.js";

/** The most numbers of a block: writers have 128. */
const MOST_OF_BLOCK = 1 << 20;

/**
 * `count` lengths that begin at `at`, and where they end.
 * @throws Error if they are damaged, not as many, or below 0
 */
export function readLengths(bytes: Uint8Array, at: number, count: number): { lengths: Int32Array; end: number } {
  const block = readVarint(bytes, at);
  const miniblocks = readVarint(bytes, block.end);
  const total = readVarint(bytes, miniblocks.end);
  const first = readZigzag(bytes, total.end);
  if (total.value !== count) throw new Error(`${total.value} lengths for ${count} values`);
  const size = block.value / miniblocks.value;
  if (block.value > MOST_OF_BLOCK || !Number.isInteger(size) || size === 0 || size % 8 !== 0) {
    throw new Error(`blocks of ${block.value} lengths in ${miniblocks.value} parts`);
  }
  const lengths = new Int32Array(count);
  if (count > 0) lengths[0] = first.value;
  const differences = new Uint32Array(size);
  let end = first.end;
  for (let seen = 1; seen < count; ) {
    const least = readZigzag(bytes, end);
    const widths = bytes.subarray(least.end, least.end + miniblocks.value);
    end = least.end + miniblocks.value;
    for (let part = 0; part < miniblocks.value && seen < count; part++) {
      const width = widths[part] ?? 0;
      if (width > 32) throw new Error(`lengths of ${width} bits`);
      unpack(bytes.subarray(end), width, differences);
      end += (size * width) / 8;
      // Differences wrap around as 32-bit numbers do.
      for (const more of differences.subarray(0, count - seen)) {
        lengths[seen] = lengths[seen - 1]! + least.value + more;
        seen++;
      }
    }
  }
  if (lengths.some((length) => length < 0)) throw new Error("a length below 0");
  return { lengths, end };
}
