/** Texts as documents. */
import type { TextPiece } from "../../lib/data/sources.js";

export function documents(texts: readonly string[]): TextPiece[] {
  return texts.map((text) => ({ text, first: true, prompt: false }));
}
