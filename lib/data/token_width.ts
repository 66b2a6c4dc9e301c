import type { BytesPerToken } from "./shard.js";
import type { Tokenizer } from "./tokenizer.js";

/** The width of a tokenizer's ids. */
export function bytesPerToken({ vocabSize }: Pick<Tokenizer, "vocabSize">): BytesPerToken {
  return vocabSize <= 2 ** 16 ? 2 : 4;
}
