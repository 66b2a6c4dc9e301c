import { Arguments } from "../arguments.js";
import { ConfigError } from "../errors.js";
import { layerShapes } from "../hf/architectures.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { widths } from "./shape.js";

/** Floating-point operations of one training step's parts, per position; a multiply-add counts as two. */
export interface PositionFlops {
  /** Averaging K embeddings, and spreading the gradient to K rows. */
  readonly embedding: number;
  /** The products with the weights of all layers. */
  readonly projections: number;
  /**
   * Both products of attention, of what is seen only: position t sees t + 1 positions, (T + 1) / 2 on average, and in a
   * layer with a window no more than that.
   */
  readonly attention: number;
  readonly head: number;
}

/**
 * Forward FLOPs of one position of a sequence of `positions`, each `patchSize` tokens.
 * @throws TypeError or RangeError for a wrong argument, ConfigError for an object that is not a parsed Llama config
 *
 * @example
 * ```ts
 * import { forwardFlops, parseLlamaConfig, presets } from "nextpatch";
 *
 * const config = parseLlamaConfig(presets["llama-370m"], "llama-370m");
 * const { projections, attention, head, embedding } = forwardFlops(config, 2048, 4);
 * console.log(attention / (projections + attention + head + embedding)); // attention's share
 * ```
 */
export function forwardFlops(config: LlamaConfig, positions: number, patchSize: number): PositionFlops {
  check("forwardFlops", config, { positions, patchSize });
  return ofForward(config, positions, patchSize);
}

/**
 * FLOPs of one training step, forward and backward, of sequences of `sequenceLength` positions.
 * @throws as `forwardFlops`
 *
 * @example
 * ```ts
 * import { parseLlamaConfig, presets, stepFlops } from "nextpatch";
 *
 * const config = parseLlamaConfig(presets["llama-370m"], "llama-370m");
 * const flops = (patchSize: number) =>
 *   stepFlops(config, { positionsPerStep: 131072 / patchSize, sequenceLength: 2048, patchSize });
 * console.log(flops(4) / flops(1)); // near 1/4: a step of as many tokens
 * ```
 */
export function stepFlops(
  config: LlamaConfig,
  step: { readonly positionsPerStep: number; readonly sequenceLength: number; readonly patchSize: number },
): number {
  const { positionsPerStep, sequenceLength, patchSize } = new Arguments("stepFlops").object("step", step);
  check("stepFlops", config, { positionsPerStep, sequenceLength, patchSize });
  return positionsPerStep * ofTraining(config, sequenceLength, patchSize);
}

/**
 * Forward and backward FLOPs of one position: the backward of a product is two products, that of the embedding one
 * pass over its rows. Recomputation to save memory is not counted, nor are norms, activations and the optimizer.
 * @throws as `forwardFlops`
 *
 * @example
 * ```ts
 * import { parseLlamaConfig, presets, trainingFlops } from "nextpatch";
 *
 * const config = parseLlamaConfig(presets["llama-370m"], "llama-370m");
 * console.log(trainingFlops(config, 2048, 1) * 1e9); // of a billion tokens, token by token
 * ```
 */
export function trainingFlops(config: LlamaConfig, positions: number, patchSize: number): number {
  check("trainingFlops", config, { positions, patchSize });
  return ofTraining(config, positions, patchSize);
}

function ofForward(config: LlamaConfig, positions: number, patchSize: number): PositionFlops {
  const { hidden, intermediate, queries, qkv } = widths(config);
  const layers = config.num_hidden_layers;
  return {
    embedding: patchSize * hidden,
    projections: layers * 2 * hidden * (qkv + queries + 3 * intermediate),
    attention: layerShapes(config).reduce((sum, { window }) => sum + 4 * queries * meanSeen(positions, window), 0),
    head: 2 * hidden * config.vocab_size,
  };
}

/** Positions that a position sees on average. @param window 0: all before it */
function meanSeen(positions: number, window: number): number {
  if (window === 0 || window >= positions) return (positions + 1) / 2;
  return (window * (window + 1)) / 2 / positions + (window * (positions - window)) / positions;
}

function ofTraining(config: LlamaConfig, positions: number, patchSize: number): number {
  const { embedding, projections, attention, head } = ofForward(config, positions, patchSize);
  return 2 * embedding + 3 * (projections + attention + head);
}

/** The keys of a config that determine the FLOPs. */
const sizes = [
  "vocab_size",
  "hidden_size",
  "intermediate_size",
  "num_hidden_layers",
  "num_attention_heads",
  "num_key_value_heads",
  "head_dim",
] as const satisfies readonly (keyof LlamaConfig)[];

function check(operation: string, config: LlamaConfig, counts: Readonly<Record<string, number>>): void {
  const check = new Arguments(operation);
  check.object("config", config);
  const wrong = sizes.find((key) => !Number.isInteger(config[key]));
  if (wrong !== undefined) {
    const received = config[wrong] === undefined ? "nothing" : "another value";
    throw new ConfigError(`${operation}: config: ${wrong}: expected a whole number but received ${received}`);
  }
  for (const [name, count] of Object.entries(counts)) check.wholeNumber(name, count, 1);
}
