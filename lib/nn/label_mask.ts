/** Labels that do not count in the loss. */
import type { Batch } from "./shape.js";

/** The label that every kernel passes over (kernels.h). */
const IGNORED = -100;

/**
 * The ids that labels are taken from: those of tokens that count, and for the others the label that is passed over.
 * @param mask a byte a token, 1: it counts
 */
export function labelIds(tokens: Int32Array, mask: Uint8Array): Int32Array {
  const ids = new Int32Array(tokens.length);
  for (let i = 0; i < ids.length; i++) ids[i] = mask[i] === 1 ? tokens[i]! : IGNORED;
  return ids;
}

/** What counts of the labels of some sequences. */
export interface CountedLabels {
  /** Labels that count. */
  readonly labels: number;
  /** What makes the mean over all labels one over those that count: all by those. 1 if all count, 0 if none does. */
  readonly scale: number;
}

/**
 * Counts the labels of sequences: all their tokens but the first patch.
 * @param mask a byte for each of the B * T * K tokens, 1: it counts
 */
export function countLabels(mask: Uint8Array, batch: Batch): CountedLabels {
  const { sequences, positions, patchSize } = batch;
  const length = positions * patchSize;
  let labels = 0;
  for (let start = 0; start < sequences * length; start += length) {
    for (let at = start + patchSize; at < start + length; at++) labels += mask[at]!;
  }
  return { labels, scale: labels === 0 ? 0 : allLabels(batch) / labels };
}

/** The labels of sequences if all count. */
export function allLabels({ sequences, positions, patchSize }: Batch): number {
  return sequences * (positions - 1) * patchSize;
}

/**
 * The weight of each label of a batch in the loss, as f32: `weights[j] * scale` over the labels at an offset. With a scale
 * of 1 the bits are those that `labelCoefficients` gives where all labels count.
 */
export function scaledCoefficients(
  weights: readonly number[],
  { sequences, positions }: Batch,
  scale: number,
): Float32Array {
  const rows = Math.fround(sequences * (positions - 1));
  return Float32Array.from(weights, (weight) => Math.fround(weight * scale) / rows);
}
