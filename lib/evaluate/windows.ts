import type { Request } from "./request.js";

/**
 * Windows that predict every token but the first once. The first predicts as many as fit; each other `stride`, the last the
 * rest, behind as much context as fits.
 * @param ids a start token and the text
 * @param length the most tokens that a window predicts from: the model's context
 */
export function windowsOf(ids: readonly number[], length: number, stride: number): Request[] {
  const all = Int32Array.from(ids);
  const windows: Request[] = [];
  let end = 1;
  while (end < all.length) {
    const before = end;
    end = Math.min(all.length, end === 1 ? 1 + length : end + stride);
    windows.push({ tokens: all.subarray(Math.max(0, end - length - 1), end), scored: end - before });
  }
  return windows;
}
