import { Arguments } from "../arguments.js";
import { ActivationPass } from "../nn/activation_pass.js";
import type { Llama } from "../nn/llama.js";
import { checkDataOptions, type DataOptions, openData, wholeBlocks } from "./open_data.js";

/** Options of `activations`. */
export interface ActivationOptions extends DataOptions {
  /** Blocks to read, from the start of the data: fewer if it holds fewer. Default 64. */
  readonly sequences?: number;
  /** How far from 0 an active neuron's value is. Default 0.5. */
  readonly threshold?: number;
}

/** The result of `activations`. */
export interface Activations {
  /** From the first layer on: the share of neurons of its MLP that are active, over all positions. */
  readonly layers: readonly { readonly active: number }[];
  readonly threshold: number;
  readonly patchSize: number;
}

/**
 * How many neurons of each layer's MLP are active at a position, at any patch size (docs/evaluation.md).
 * @throws TypeError or RangeError for a wrong argument; DataError as `evaluate`; DeviceError, OutOfMemoryError
 *
 * @example
 * ```ts
 * import { activations, Llama } from "nextpatch";
 *
 * using model = await Llama.load("runs/mine/model");
 * const data = "data/mine/val_*.bin";
 * for (const patchSize of [1, 4]) {
 *   const { layers } = await activations(model, { data, sequenceLength: 32, patchSize });
 *   console.log(patchSize, layers.map(({ active }) => active));
 * }
 * ```
 */
export async function activations(model: Llama, options: ActivationOptions): Promise<Activations> {
  const check = new Arguments("activations");
  const checked = checkDataOptions(check, model, options, 1, ["sequences", "threshold"]);
  const { patchSize, sequenceLength, onProgress, signal } = checked;
  const { sequences = 64, threshold = 0.5 } = options;
  check.wholeNumber("sequences", sequences, 1);
  check.number("threshold", threshold, "a number of at least 0", (value) => value >= 0 && Number.isFinite(value));
  const { config, device } = model;
  await using opened = await openData(model, checked);
  const { dataset } = opened;
  const blocks = Math.min(sequences, wholeBlocks(dataset, patchSize, sequenceLength));
  const block = new Int32Array(patchSize * sequenceLength);
  const counts = new Array<number>(config.num_hidden_layers).fill(0);
  const pass = new ActivationPass(model, { sequences: 1, positions: sequenceLength, patchSize });
  try {
    for (let index = 0; index < blocks; index++) {
      signal?.throwIfAborted();
      await dataset.read(index * block.length, block);
      dataset.checkVocabulary(block, index * block.length, config.vocab_size);
      for (const [layer, count] of (await pass.count(block, threshold)).entries()) counts[layer]! += count;
      onProgress?.(index + 1, blocks);
    }
  } finally {
    await device.synchronize();
    pass.dispose();
  }
  const neurons = blocks * sequenceLength * config.intermediate_size;
  return { layers: counts.map((count) => ({ active: count / neurons })), threshold, patchSize };
}
