import type { LlamaConfig } from "../hf/llama_config.js";
import { widths } from "./shape.js";

/** Floating-point operations of one training step's parts, per position; a multiply-add counts as two. */
export interface PositionFlops {
  /** Averaging K embeddings, and spreading the gradient to K rows. */
  readonly embedding: number;
  /** The products with the weights of all layers. */
  readonly projections: number;
  /** Both products of attention, the causal half only: position t sees t + 1 positions, (T + 1) / 2 on average. */
  readonly attention: number;
  readonly head: number;
}

/** Forward FLOPs of one position of a sequence of `positions`, each `patchSize` tokens. */
export function forwardFlops(config: LlamaConfig, positions: number, patchSize: number): PositionFlops {
  const { hidden, intermediate, queries, qkv } = widths(config);
  const layers = config.num_hidden_layers;
  return {
    embedding: patchSize * hidden,
    projections: layers * 2 * hidden * (qkv + queries + 3 * intermediate),
    attention: layers * 4 * queries * ((positions + 1) / 2),
    head: 2 * hidden * config.vocab_size,
  };
}

/** FLOPs of one training step, forward and backward, of sequences of `sequenceLength` positions. */
export function stepFlops(
  config: LlamaConfig,
  step: { readonly positionsPerStep: number; readonly sequenceLength: number; readonly patchSize: number },
): number {
  return step.positionsPerStep * trainingFlops(config, step.sequenceLength, step.patchSize);
}

/**
 * Forward and backward FLOPs of one position: the backward of a product is two products, that of the embedding one
 * pass over its rows. What is recomputed to save memory is not counted, nor are norms, activations and the optimizer.
 */
export function trainingFlops(config: LlamaConfig, positions: number, patchSize: number): number {
  const { embedding, projections, attention, head } = forwardFlops(config, positions, patchSize);
  return 2 * embedding + 3 * (projections + attention + head);
}
