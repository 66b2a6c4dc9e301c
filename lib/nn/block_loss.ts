import { labelWeightValues } from "../config/label_weights.js";
import type { Tensor } from "../native.js";
import { Pass } from "./pass.js";
import type { PassMemory } from "./pass_memory.js";
import type { Batch } from "./shape.js";
import type { ModelWeights } from "./weights.js";

/** A range of consecutive blocks. */
export interface BlockRange {
  readonly start: number;
  readonly count: number;
}

/** The most blocks of `positions` positions in a pass: as many as fit `positionsPerPass`, at least one. */
export function blocksPerPass(positions: number, positionsPerPass: number): number {
  return Math.max(1, Math.floor(positionsPerPass / positions));
}

/** Cuts blocks into ranges of `size` blocks, the last one smaller if there is a rest. */
export function* blockRanges(blocks: number, size: number): Generator<BlockRange, void> {
  for (let start = 0; start < blocks; start += size) yield { start, count: Math.min(size, blocks - start) };
}

/** The batch shapes that ranges of `size` blocks need: one for all full ranges, and one for the rest. */
export function blockBatches(blocks: Batch, size: number): Batch[] {
  const counts = new Set(Array.from(blockRanges(blocks.sequences, size), ({ count }) => count));
  return [...counts].map((sequences) => ({ ...blocks, sequences }));
}

/** Blocks of which some labels do not count. */
export interface MaskedLabels {
  /** i32 [B * T * K], on the device: the tokens as labels (`labelIds`). */
  readonly ids: Tensor<"i32">;
  /** Of `countLabels`, for all blocks that the loss is a mean over. */
  scale: number;
}

interface Part {
  readonly pass: Pass;
  readonly tokens: Tensor<"i32">;
  readonly labels: Tensor<"i32"> | null;
}

/** The mean loss over blocks of T positions of K tokens, in as many passes as they need. */
export class BlockLoss {
  readonly #parts: readonly Part[];

  /**
   * @param memory allocated for the `blockBatches` of these blocks, among others
   * @param blocks all blocks: B of them
   * @param size blocks in a pass
   * @param tokens i32 [B * T * K], on the device
   * @param of the blocks that the loss is a mean over: these, or more, of which these have their share
   * @param labels which of their labels count; null: all
   */
  constructor(
    memory: PassMemory,
    weights: ModelWeights,
    blocks: Batch,
    size: number,
    tokens: Tensor<"i32">,
    of = blocks.sequences,
    private readonly labels: MaskedLabels | null = null,
  ) {
    const { sequences, positions, patchSize } = blocks;
    const blockTokens = positions * patchSize;
    const passes = new Map<number, Pass>();
    for (const batch of blockBatches(blocks, size)) {
      // A pass is weighted by its blocks, so that the sum over passes is the mean over all blocks.
      const share = batch.sequences / of;
      const labelWeights = labelWeightValues("uniform", patchSize).map((weight) => weight * share);
      passes.set(batch.sequences, new Pass(memory, batch, weights, labelWeights, false));
    }
    this.#parts = Array.from(blockRanges(sequences, size), ({ start, count }) => ({
      pass: passes.get(count)!,
      tokens: tokens.narrow(0, start * blockTokens, count * blockTokens),
      labels: labels?.ids.narrow(0, start * blockTokens, count * blockTokens) ?? null,
    }));
  }

  /** Enqueues the computation. Returns f32 [1]: the loss, in nats per token. */
  enqueue(): Tensor<"f32"> {
    this.#parts.forEach(({ pass, tokens, labels }, index) => {
      if (this.labels !== null) pass.weigh(this.labels.scale);
      pass.forward(tokens, { loss: index > 0, gradient: false }, undefined, labels);
    });
    return this.#parts[0]!.pass.loss;
  }

  /** Computes the loss, in nats per token. */
  async compute(): Promise<number> {
    const [loss] = await this.enqueue().read();
    return loss!;
  }
}
