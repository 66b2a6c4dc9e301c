import type { Recompute } from "../config/recompute.js";
import { Tensor } from "../native.js";
import { type Allocated, reuse, Spec } from "./buffers.js";
import type { KeyValueCache } from "./key_value_cache.js";
import type { Parameters } from "./parameters.js";
import { RotaryEmbeddings, rotaryTableSpecs } from "./rotary_embedding.js";
import type { Batch } from "./shape.js";
import { Transformer, transformerSpecs } from "./transformer.js";
import { type ModelWeights, modelWeights } from "./weights.js";

/** The most positions of a pass: enough to keep the device busy, and no more memory than that takes. */
export const forwardPositions = { cpu: 2048, simt: 256, cuda: 16_384 } as const;

/** What passes need room for. */
export interface ForwardLimits {
  /** Positions of a pass, over all its sequences. */
  readonly positions: number;
  /** Positions of a sequence, those in its cache included. */
  readonly length: number;
  readonly patchSize: number;
}

/** @param kept the activations that can be read after a pass: those that a backward with this `recompute` would keep */
export function forwardSpecs(
  { config, dtype }: Parameters,
  { positions, length, patchSize }: ForwardLimits,
  kept: Recompute | null,
) {
  return {
    tokens: new Spec("i32", [positions * patchSize]),
    rotaryTables: rotaryTableSpecs(config, length),
    activations: transformerSpecs({ config, dtype, positions, recompute: kept }),
  };
}

/** The transformer without its head and without a backward, over batches of any shape that fits its memory. */
export class ForwardPass {
  readonly weights: ModelWeights;
  readonly #rotary: RotaryEmbeddings;

  /**
   * @param buffers allocated for the same parameters' `forwardSpecs`
   * @param kept as it was there
   */
  constructor(
    private readonly parameters: Parameters,
    private readonly buffers: Allocated<ReturnType<typeof forwardSpecs>>,
    private readonly kept: Recompute | null,
  ) {
    this.weights = modelWeights(parameters, null);
    this.#rotary = new RotaryEmbeddings(buffers.rotaryTables, parameters.config);
  }

  /**
   * Enqueues a forward; the next one overwrites its activations.
   * @param ids B * T * K of them, sequence by sequence
   * @param cached keys and values of `past` positions before the sequences, a cache for each layer
   */
  run(
    ids: Int32Array | Tensor<"i32">,
    batch: Batch,
    cached: { readonly past: number; readonly caches: readonly KeyValueCache[] } | null = null,
  ): Transformer {
    const { config, dtype } = this.parameters;
    const positions = batch.sequences * batch.positions;
    const place = this.buffers.tokens.narrow(0, 0, positions * batch.patchSize);
    if (!(ids instanceof Tensor)) place.write(ids);
    const tokens = ids instanceof Tensor ? ids : place;
    const shape = { config, dtype, positions, recompute: this.kept };
    const buffers = reuse(this.buffers.activations, transformerSpecs(shape));
    const memory = { buffers, rotary: this.#rotary, tokens, training: null, caches: cached?.caches ?? null };
    const transformer = new Transformer(config, batch, this.weights, memory, null);
    transformer.forward(cached?.past ?? 0);
    return transformer;
  }
}
