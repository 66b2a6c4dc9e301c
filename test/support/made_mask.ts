/** Loss masks for made data. */
import { MaskWriter, maskPath } from "../../lib/data/loss_mask.js";

/** Answers of a few tokens behind prompts of a few more, as ones and zeros, from a seed. */
export function madeMask(count: number, seed = 1): Uint8Array {
  const mask = new Uint8Array(count);
  let state = seed;
  for (let at = 0, counts = 0; at < count; counts = 1 - counts) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const length = 1 + ((state >>> 8) % 9);
    mask.fill(counts, at, at + length);
    at += length;
  }
  return mask;
}

/** Writes the mask beside a shard. */
export async function writeMask(shard: string, mask: Uint8Array): Promise<void> {
  const writer = await MaskWriter.create(maskPath(shard)!);
  await writer.write(mask.length, mask);
  await writer.finish();
}
