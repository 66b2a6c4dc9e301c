/** Which documents are held out for validation. */

/** Its fractional part. */
const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;

/**
 * Whether the document with this index belongs to validation: if 0.5 + index * golden ratio, modulo 1, is below
 * `valFraction`. No sequence is spread more evenly than these multiples, so unlike with a random choice the share is
 * close to `valFraction` even for few documents. The first never belongs to it, so that training is not empty.
 */
export function isHeldOut(index: number, valFraction: number): boolean {
  return index > 0 && (0.5 + index * GOLDEN_RATIO) % 1 < valFraction;
}
