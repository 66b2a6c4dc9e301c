import { type Allocated, allocate, disposeAll } from "./buffers.js";
import { ForwardPass, forwardSpecs } from "./forward_pass.js";
import type { Llama } from "./llama.js";
import type { Batch } from "./shape.js";

/** As before a backward that computes nothing again: every layer keeps its own activations. */
const kept = "none";

/** A forward after which the neurons of every MLP can be read. */
export class ActivationPass {
  readonly #buffers: Allocated<ReturnType<typeof forwardSpecs>>;
  readonly #pass: ForwardPass;

  /** Allocates the memory of a pass over `batch`. @throws OutOfMemoryError */
  constructor(
    model: Llama,
    private readonly batch: Batch,
  ) {
    const { sequences, positions: length, patchSize } = batch;
    this.#buffers = allocate(
      model.device,
      forwardSpecs(model.parameters, { positions: sequences * length, length, patchSize }, kept),
    );
    this.#pass = new ForwardPass(model.parameters, this.#buffers, kept);
  }

  /**
   * Runs the model, and counts in each layer the neurons, over all positions, whose value (what the down projection
   * gets: silu(gate) * up) is further from 0 than `threshold`.
   */
  async count(tokens: Int32Array, threshold: number): Promise<number[]> {
    this.#pass.run(tokens, this.batch);
    const counts: number[] = [];
    for (const { mlp } of this.#buffers.activations.layers) {
      counts.push(above(await mlp.activated!.read(), threshold));
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
