import { type Allocated, allocate, disposeAll, Spec } from "./buffers.js";
import type { Llama } from "./llama.js";
import { RotaryEmbeddings, rotaryTableSpecs } from "./rotary_embedding.js";
import type { Batch } from "./shape.js";
import { Transformer, transformerSpecs } from "./transformer.js";
import { modelWeights } from "./weights.js";

function activationSpecs({ config, parameters }: Llama, batch: Batch) {
  const positions = batch.sequences * batch.positions;
  // As before a backward that computes nothing again: every layer keeps its own activations.
  const shape = { config, dtype: parameters.dtype, positions, recompute: "none" as const };
  return {
    tokens: new Spec("i32", [positions * batch.patchSize]),
    rotaryTables: rotaryTableSpecs(config, batch.positions),
    activations: transformerSpecs(shape),
  };
}

/** A forward after which the neurons of every MLP can be read. */
export class ActivationPass {
  readonly #buffers: Allocated<ReturnType<typeof activationSpecs>>;
  readonly #transformer: Transformer;

  /** Allocates the memory of a pass over `batch`. @throws OutOfMemoryError */
  constructor(model: Llama, batch: Batch) {
    const { config, device, parameters } = model;
    this.#buffers = allocate(device, activationSpecs(model, batch));
    const { tokens, rotaryTables, activations: buffers } = this.#buffers;
    const rotary = new RotaryEmbeddings(rotaryTables, config);
    const memory = { buffers, rotary, tokens, training: null, caches: null };
    this.#transformer = new Transformer(config, batch, modelWeights(parameters, null), memory, null);
  }

  /**
   * Runs the model, and counts in each layer the neurons, over all positions, whose value (what the down projection
   * gets: silu(gate) * up) is further from 0 than `threshold`.
   */
  async count(tokens: Int32Array, threshold: number): Promise<number[]> {
    this.#buffers.tokens.write(tokens);
    this.#transformer.forward(0);
    const counts: number[] = [];
    for (const { mlp } of this.#buffers.activations.layers) {
      const activated = mlp.activated!;
      const values = await activated.read();
      counts.push(activated.dtype === "bf16" ? bf16Above(values, threshold) : above(values, threshold));
    }
    return counts;
  }

  /** Frees the memory; the model stays. */
  dispose(): void {
    disposeAll(this.#buffers);
  }

  /** `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

function above(values: ArrayLike<number>, threshold: number): number {
  let count = 0;
  for (let i = 0; i < values.length; i++) if (Math.abs(values[i]!) > threshold) count++;
  return count;
}

/** bf16 is the upper half of an f32, and numbers without a sign compare as their bits do. */
function bf16Above(values: ArrayLike<number>, threshold: number): number {
  const bits = new Uint32Array(Float32Array.of(threshold).buffer)[0]! >>> 16;
  let count = 0;
  for (let i = 0; i < values.length; i++) if ((values[i]! & 0x7fff) > bits) count++;
  return count;
}
