/** What a model takes at once. */
export interface BatchLimits {
  /** Tokens of a sequence. */
  readonly context: number;
  /** The most tokens added to a prompt. */
  readonly maxTokens: number;
  /** Bytes of the keys and values of one token. */
  readonly tokenBytes: number;
}

/** Products of more rows take longer, so more sequences at once gain little. */
const MAX_SEQUENCES = 64;
/** The most memory for keys and values; a single sequence may take more. */
const MAX_CACHE_BYTES = 2 ** 30;

/**
 * Cuts prompts into batches that are decoded together, and gives their indexes. In a batch the longer prompts wait while
 * the shorter ones run ahead: it begins with what all have, then goes on by a token at a time. So prompts of similar
 * lengths belong together: the longest runs at most `maxTokens` steps longer than the shortest, what a batch of its own
 * would take. The same prompts are always cut the same way, whatever the device has free.
 */
export function batches(lengths: readonly number[], { context, maxTokens, tokenBytes }: BatchLimits): number[][] {
  const sorted = [...lengths.keys()].sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  const takes = (batch: readonly number[], length: number): boolean => {
    const bytes = (batch.length + 1) * Math.min(context, length + maxTokens) * tokenBytes;
    return batch.length < MAX_SEQUENCES && bytes <= MAX_CACHE_BYTES && length - lengths[batch[0]!]! <= maxTokens;
  };
  const all: number[][] = [];
  for (const index of sorted) {
    const last = all.at(-1);
    if (last !== undefined && takes(last, lengths[index]!)) last.push(index);
    else all.push([index]);
  }
  return all;
}
