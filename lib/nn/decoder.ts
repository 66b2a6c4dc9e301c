import { types } from "node:util";
import { Arguments, describe } from "../arguments.js";
import { native, type Tensor } from "../native.js";
import { type Allocated, allocate, disposeAll, reuse, Spec } from "./buffers.js";
import { KeyValueCache, keyValueCacheSpecs } from "./key_value_cache.js";
import { checkModel, type Llama } from "./llama.js";
import { RotaryEmbedding, rotaryTableSpec } from "./rotary_embedding.js";
import { checkSampling, type SamplingSettings } from "./sampling.js";
import { Transformer, transformerSpecs } from "./transformer.js";
import { type ModelWeights, modelWeights } from "./weights.js";

function decoderSpecs({ config, parameters, device }: Llama, capacity: number) {
  const shape = { config, dtype: parameters.dtype, positions: capacity, recompute: null };
  return {
    tokens: new Spec("i32", [capacity]),
    rotaryTable: rotaryTableSpec(config, capacity),
    activations: transformerSpecs(shape),
    caches: Array.from({ length: config.num_hidden_layers }, () => keyValueCacheSpecs(shape)),
    logits: new Spec(parameters.dtype, [1, config.vocab_size]),
    next: new Spec("i32", [1]),
    workspace: new Spec("f32", [native.sampleWorkspace(device, 1, config.vocab_size)]),
  };
}

/** A transformer over some tokens of the sequence, with its input tensor. */
interface Wiring {
  readonly tokens: Tensor<"i32">;
  readonly transformer: Transformer;
  /** dt [1, C]: the output at the last token. */
  readonly last: Tensor;
}

/** Token-by-token inference with a cache of keys and values: every token runs through the model once. */
export class Decoder {
  readonly #buffers: Allocated<ReturnType<typeof decoderSpecs>>;
  readonly #weights: ModelWeights;
  readonly #rotary: RotaryEmbedding;
  readonly #caches: readonly KeyValueCache[];
  /** From the last call: the next one usually has the same number of tokens, one. */
  #wiring: Wiring | null = null;
  #length = 0;

  /**
   * Allocates the memory for the cache and for passes of up to `capacity` tokens.
   * @param capacity the most tokens, prompt included, in the cache: at most the model's context
   * @throws TypeError or RangeError for a wrong argument, OutOfMemoryError
   */
  constructor(
    private readonly model: Llama,
    readonly capacity: number,
  ) {
    const check = new Arguments("Decoder");
    checkModel(check, model);
    check.wholeNumber("capacity", capacity, 1, model.config.max_position_embeddings);
    this.#buffers = allocate(model.device, decoderSpecs(model, capacity));
    this.#weights = modelWeights(model.parameters, null);
    this.#rotary = new RotaryEmbedding(this.#buffers.rotaryTable, model.config);
    this.#caches = this.#buffers.caches.map((cache) => new KeyValueCache(cache));
  }

  /** Tokens in the cache. */
  get length(): number {
    return this.#length;
  }

  /**
   * Appends tokens and samples the next one. One call at a time.
   * @param tokens at least one
   * @throws TypeError or RangeError for a wrong argument, more tokens than the capacity has room for, or (once the
   *   device has seen it) an id outside the vocabulary; DeviceError
   */
  async next(tokens: Int32Array, sampling: SamplingSettings): Promise<number> {
    this.#check(tokens, sampling);
    const { temperature, topK, topP, seed } = sampling;
    const { logits, next, workspace } = this.#buffers;
    const wiring = this.#wire(tokens.length);
    wiring.tokens.write(tokens);
    wiring.transformer.forward(this.#length);
    this.#length += tokens.length;
    this.#weights.head.forward(logits, wiring.last);
    native.sample(next, logits, workspace, temperature, topK, topP, seed, this.#length);
    const [drawn] = await next.read();
    return drawn!;
  }

  /** Frees the cache; the model stays. */
  dispose(): void {
    disposeAll(this.#buffers);
  }

  /** `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Runs before anything is enqueued: a rejected call leaves the cache unchanged. */
  #check(tokens: Int32Array, sampling: SamplingSettings): void {
    const check = new Arguments("Decoder.next");
    if (this.#buffers.tokens.disposed) check.fail(TypeError, "this", "a live decoder", "a disposed one");
    const room = this.capacity - this.#length;
    const expected = `1 to ${room} tokens (of a capacity of ${this.capacity})`;
    if (!types.isInt32Array(tokens)) check.fail(TypeError, "tokens", "an Int32Array", describe(tokens));
    if (tokens.length === 0 || tokens.length > room) check.fail(RangeError, "tokens", expected, String(tokens.length));
    checkSampling(check, check.object("sampling", sampling));
  }

  /** A transformer over the first `count` rows of all buffers. */
  #wire(count: number): Wiring {
    const [before] = this.#wiring?.tokens.shape ?? [];
    if (this.#wiring !== null && before === count) return this.#wiring;
    const { config, parameters } = this.model;
    const { activations, tokens: all } = this.#buffers;
    const tokens = all.narrow(0, 0, count);
    const shape = { config, dtype: parameters.dtype, positions: count, recompute: null };
    const batch = { sequences: 1, positions: count, patchSize: 1 };
    const memory = {
      buffers: reuse(activations, transformerSpecs(shape)),
      rotary: this.#rotary,
      tokens,
      training: null,
      caches: this.#caches,
    };
    const transformer = new Transformer(config, batch, this.#weights, memory, null);
    this.#wiring = { tokens, transformer, last: transformer.out.narrow(0, count - 1, 1) };
    return this.#wiring;
  }
}
