import type { TokenDataset } from "../data/dataset.js";
import { DataError } from "../errors.js";
import { ownRange, type RankShare } from "../nn/sharding.js";

/** Held-out sequences of `positions` tokens each. */
export interface HeldOut {
  readonly tokens: Int32Array;
  readonly sequences: number;
  readonly positions: number;
  /** The sequences of the run: these, or those of all ranks. */
  readonly of: number;
}

/** Those of a rank. */
export function ownHeldOut({ tokens, sequences, positions, of }: HeldOut, share: RankShare): HeldOut {
  const { begin, end } = ownRange(sequences, share);
  return { tokens: tokens.subarray(begin * positions, end * positions), sequences: end - begin, positions, of };
}

/**
 * The first consecutive blocks of a held-out dataset: the same in every evaluation of every run.
 * @throws DataError if the dataset has no whole block, or holds a token outside the vocabulary
 */
export async function heldOutTokens(
  dataset: TokenDataset,
  sequences: number,
  positions: number,
  vocabulary: number,
): Promise<HeldOut> {
  const available = Math.min(sequences, Math.floor(dataset.tokenCount / positions));
  if (available === 0) {
    throw new DataError(
      `${dataset.shards[0]!.path}: expected at least one held-out sequence of ${positions} tokens ` +
        `but received ${dataset.tokenCount} tokens`,
    );
  }
  const tokens = new Int32Array(available * positions);
  await dataset.read(0, tokens);
  dataset.checkVocabulary(tokens, 0, vocabulary);
  return { tokens, sequences: available, positions, of: available };
}
