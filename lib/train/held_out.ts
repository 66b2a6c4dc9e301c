import type { TokenDataset } from "../data/dataset.js";
import { DataError } from "../errors.js";
import { countLabels } from "../nn/label_mask.js";
import { ownRange, type RankShare } from "../nn/sharding.js";

/** Held-out sequences of `positions` tokens each. */
export interface HeldOut {
  readonly tokens: Int32Array;
  /** Null: all labels count. */
  readonly mask: HeldOutMask | null;
  readonly sequences: number;
  readonly positions: number;
  /** The sequences of the run: these, or those of all ranks. */
  readonly of: number;
}

/** Which labels of held-out sequences count. */
export interface HeldOutMask {
  /** A byte a token, 1: it counts. */
  readonly bytes: Uint8Array;
  /** Of `countLabels`, for the sequences of all ranks. */
  readonly scale: number;
}

/** Those of a rank. */
export function ownHeldOut({ tokens, mask, sequences, positions, of }: HeldOut, share: RankShare): HeldOut {
  const { begin, end } = ownRange(sequences, share);
  const own = <T extends Int32Array | Uint8Array>(all: T) => all.subarray(begin * positions, end * positions) as T;
  return {
    tokens: own(tokens),
    mask: mask && { ...mask, bytes: own(mask.bytes) },
    sequences: end - begin,
    positions,
    of,
  };
}

/**
 * The first consecutive blocks of a held-out dataset: the same in every evaluation of every run.
 * @throws DataError if the dataset has no whole block, holds a token outside the vocabulary, or if none of the blocks'
 *   labels counts
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
  const mask = dataset.masked ? await readMask(dataset, available, positions) : null;
  return { tokens, mask, sequences: available, positions, of: available };
}

async function readMask(dataset: TokenDataset, sequences: number, positions: number): Promise<HeldOutMask> {
  const bytes = new Uint8Array(sequences * positions);
  await dataset.readMask(0, bytes);
  const { labels, scale } = countLabels(bytes, { sequences, positions, patchSize: 1 });
  if (labels > 0) return { bytes, scale };
  throw new DataError(
    `${dataset.shards[0]!.path}: expected a label that counts in ${sequences} held-out sequences ` +
      `but received a loss mask that leaves out all of them`,
  );
}
