/** What a step takes: its arithmetic, and what of its communication does not hide behind that. */
import type { RankShare } from "../nn/sharding.js";
import { type Buckets, paddedParameters } from "./buckets.js";
import { overlappedSeconds, type Segment, type Transfer } from "./overlap.js";
import { collectiveSeconds, type Ring, sentBytes } from "./ring.js";

/** The arithmetic of a rank in a step. */
export interface RankStep {
  /** Seconds of all its micro-batches. */
  readonly computeSeconds: number;
  readonly microBatches: number;
  /** The head's share of the arithmetic. */
  readonly headShare: number;
  readonly share: Pick<RankShare, "overlap" | "zero">;
}

export interface StepTime {
  readonly seconds: number;
  readonly computeSeconds: number;
  /** Of all transfers, hidden or not. */
  readonly communicationSeconds: number;
  /** What communication adds to the step. */
  readonly exposedSeconds: number;
  /** Share of the speed of as many single GPUs. */
  readonly efficiency: number;
  /** The same if nothing were hidden. */
  readonly efficiencyWithoutOverlap: number;
}

/** A backward pass is two of a product's three. */
const backwardShare = 2 / 3;

/**
 * The share of a GPU that communication takes from the arithmetic beside it: DeepSeek-V3 gave it 20 of an H800's 132
 * multiprocessors (arXiv 2412.19437, section 3.2.2).
 */
const slowdown = 20 / 132;

/** Bytes of an element on the wire: gradients in f32, parameters in bf16. */
const gradientBytes = 4;
const parameterBytes = 2;

/** Bytes that a rank sends in a step; with ZeRO-2 of gradients in each micro-batch. */
export function stepBytes(ring: Ring, buckets: Buckets): { reduceScatter: number; allGather: number } {
  const parameters = paddedParameters(buckets);
  return {
    reduceScatter: sentBytes(ring, gradientBytes * parameters),
    allGather: sentBytes(ring, parameterBytes * parameters),
  };
}

/**
 * Each bucket's gradient is reduced as soon as the last micro-batch's backward has completed it, with ZeRO-2 each
 * micro-batch's; the embedding's comes last. Each bucket's parameters are gathered at the beginning of the next step,
 * before its first micro-batch's forward needs them.
 */
export function stepTime(step: RankStep, buckets: Buckets, ring: Ring): StepTime {
  const { computeSeconds, microBatches } = step;
  const { overlap, zero } = step.share;
  const [backward, forward] = [backwardSegments(step, buckets), forwardSegments(step, buckets)];
  const reduces = reduceScatters(buckets, ring);
  const gathers = allGathers(buckets, ring);
  const reductions = zero === 2 ? microBatches : 1;
  const [reduceSeconds, gatherSeconds] = [reduces, gathers].map((transfers) => secondsOf(transfers)) as [
    number,
    number,
  ];
  const communicationSeconds = reductions * reduceSeconds + gatherSeconds;
  const exposed = (segments: readonly Segment[], transfers: readonly Transfer[]) =>
    overlappedSeconds(segments, transfers, slowdown) - secondsOf(segments);
  const exposedSeconds = overlap
    ? reductions * exposed(backward, reduces) + exposed(forward, gathers)
    : communicationSeconds;
  const seconds = computeSeconds + exposedSeconds;
  return {
    seconds,
    computeSeconds,
    communicationSeconds,
    exposedSeconds,
    efficiency: computeSeconds / seconds,
    efficiencyWithoutOverlap: computeSeconds / (computeSeconds + communicationSeconds),
  };
}

const secondsOf = (all: readonly { readonly seconds: number }[]): number =>
  all.reduce((sum, { seconds }) => sum + seconds, 0);

/** The last micro-batch's backward: head, groups of layers from the last to the first. */
function backwardSegments({ computeSeconds, microBatches, headShare }: RankStep, { layers }: Buckets): Segment[] {
  const seconds = (computeSeconds / microBatches) * backwardShare;
  const ofLayers = layers.map(() => ({ seconds: (seconds * (1 - headShare)) / layers.length, needs: 0 }));
  return [{ seconds: seconds * headShare, needs: 0 }, ...ofLayers];
}

/** The order in which the backward completes them. */
function reduceScatters({ head, layers, embedding }: Buckets, ring: Ring): Transfer[] {
  const transfer = (elements: number, needs: number) => ({
    seconds: collectiveSeconds(ring, gradientBytes * elements),
    needs,
  });
  return [
    ...(head > 0 ? [transfer(head, 1)] : []),
    ...layers.map((elements, index) => transfer(elements, index + 2)),
    transfer(embedding, layers.length + 1),
  ];
}

/** The first micro-batch's forward: groups of layers, then the head. */
function forwardSegments({ computeSeconds, microBatches, headShare }: RankStep, buckets: Buckets): Segment[] {
  const { head, layers } = buckets;
  const seconds = (computeSeconds / microBatches) * (1 - backwardShare);
  // A group needs its own bucket and those before it, of which the embedding is the first.
  const ofLayers = layers.map((_, index) => ({
    seconds: (seconds * (1 - headShare)) / layers.length,
    needs: index + 2,
  }));
  return [...ofLayers, { seconds: seconds * headShare, needs: layers.length + (head > 0 ? 2 : 1) }];
}

function allGathers({ head, layers, embedding }: Buckets, ring: Ring): Transfer[] {
  const sizes = [embedding, ...layers.toReversed(), ...(head > 0 ? [head] : [])];
  return sizes.map((elements) => ({ seconds: collectiveSeconds(ring, parameterBytes * elements), needs: 0 }));
}
