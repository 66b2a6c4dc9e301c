import { types } from "node:util";
import { Arguments, describe } from "../arguments.js";
import { native, type Tensor } from "../native.js";
import { splitHeads } from "./attention.js";
import { type Allocated, allocate, disposeAll, Spec } from "./buffers.js";
import type { Llama } from "./llama.js";
import { writeRotaryTable } from "./rotary_table.js";
import { widths } from "./shape.js";
import { type LayerWeights, type ModelWeights, modelWeights } from "./weights.js";

/** How the next token is drawn. */
export interface SamplingSettings {
  /** What the logits are divided by; 0: always the likeliest token. */
  readonly temperature: number;
  /** Only the so many likeliest tokens; 0: all. */
  readonly topK: number;
  /** Only the smallest set of the likeliest tokens whose probabilities reach this sum, from 0 to 1; 1: all. */
  readonly topP: number;
  /** The same seed draws the same tokens; a whole number. */
  readonly seed: number;
}

function decoderSpecs({ config, parameters, device }: Llama, capacity: number) {
  const dtype = parameters.dtype;
  const { hidden, intermediate, queries, qkv } = widths(config);
  const rows = (width: number) => new Spec(dtype, [capacity, width]);
  const cache = new Spec(dtype, [1, capacity, config.num_key_value_heads, config.head_dim]);
  return {
    tokens: new Spec("i32", [capacity]),
    rotaryTable: new Spec("f32", [capacity, config.head_dim / 2, 2]),
    stream: rows(hidden),
    branch: rows(hidden),
    normed: rows(hidden),
    rstd: new Spec("f32", [capacity]),
    qkv: rows(qkv),
    attended: rows(queries),
    lse: new Spec("f32", [config.num_attention_heads * capacity]),
    gateUp: rows(2 * intermediate),
    activated: rows(intermediate),
    logits: new Spec(dtype, [1, config.vocab_size]),
    next: new Spec("i32", [1]),
    workspace: new Spec("f32", [native.sampleWorkspace(device, 1, config.vocab_size)]),
    caches: Array.from({ length: config.num_hidden_layers }, () => ({ k: cache, v: cache })),
  };
}

/** Token-by-token inference with a cache of keys and values: every token runs through the model once. */
export class Decoder {
  readonly #buffers: Allocated<ReturnType<typeof decoderSpecs>>;
  readonly #weights: ModelWeights;
  #length = 0;

  /**
   * Takes the memory for the cache and for passes of up to `capacity` tokens.
   * @param capacity the most tokens, prompt included, that will be held: at most the model's context
   * @throws TypeError or RangeError for another capacity, OutOfMemoryError
   */
  constructor(
    private readonly model: Llama,
    readonly capacity: number,
  ) {
    const context = model.config.max_position_embeddings;
    new Arguments("Decoder").wholeNumber("capacity", capacity, 1, context);
    this.#buffers = allocate(model.device, decoderSpecs(model, capacity));
    this.#weights = modelWeights(model.parameters, null);
    writeRotaryTable(this.#buffers.rotaryTable, model.config);
  }

  /** Tokens in the cache. */
  get length(): number {
    return this.#length;
  }

  /**
   * Appends tokens and draws the one after them. One call at a time.
   * @param tokens at least one
   * @throws TypeError or RangeError for an argument that is wrong, more tokens than the capacity has room for, or (once
   *   the device has seen it) an id outside the vocabulary; DeviceError
   */
  async next(tokens: Int32Array, sampling: SamplingSettings): Promise<number> {
    const { temperature, topK, topP, seed } = this.#check(tokens, sampling);
    const count = tokens.length;
    const b = this.#buffers;
    const rows = (tensor: Tensor) => tensor.narrow(0, 0, count);
    const input = b.tokens.narrow(0, 0, count);
    input.write(tokens);
    native.patchEmbeddingForward(rows(b.stream), input, this.#weights.embedding.value);
    this.#weights.layers.forEach((weights, index) => this.#layer(weights, index, count));
    this.#length += count;
    this.#normalise(this.#weights.norm.value, b.branch, count);
    this.#weights.head.forward(b.logits, b.normed.narrow(0, count - 1, 1));
    native.sample(b.next, b.logits, b.workspace, temperature, topK, topP, seed, this.#length);
    const [next] = await b.next.read();
    return next!;
  }

  /** Frees the cache; the model stays. */
  dispose(): void {
    disposeAll(this.#buffers);
  }

  /** `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Before anything is enqueued: a call that is refused leaves the cache as it was. */
  #check(tokens: Int32Array, sampling: SamplingSettings): SamplingSettings {
    const check = new Arguments("Decoder.next");
    const room = this.capacity - this.#length;
    const expected = `1 to ${room} tokens (of a capacity of ${this.capacity})`;
    if (!types.isInt32Array(tokens)) check.fail(TypeError, "tokens", "an Int32Array", describe(tokens));
    if (tokens.length === 0 || tokens.length > room) check.fail(RangeError, "tokens", expected, String(tokens.length));
    const { temperature, topK, topP, seed } = check.object("sampling", sampling);
    const within = (low: number, high: number) => (value: number) => value >= low && value <= high;
    check.number("temperature", temperature, "a number from 0 to 1000000", within(0, 1e6));
    check.number("topP", topP, "a number from 0 to 1", within(0, 1));
    check.wholeNumber("topK", topK, 0, 2 ** 31 - 1);
    check.wholeNumber("seed", seed, 0, Number.MAX_SAFE_INTEGER);
    return sampling;
  }

  #layer(weights: LayerWeights, index: number, count: number): void {
    const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim } = this.model.config;
    const b = this.#buffers;
    const rows = (tensor: Tensor) => tensor.narrow(0, 0, count);
    this.#normalise(weights.attentionNorm.value, index > 0 ? b.branch : null, count);
    weights.qkv.forward(rows(b.qkv), rows(b.normed));
    const { q, k, v, qk } = splitHeads(rows(b.qkv), 1, heads, kvHeads, headDim);
    native.rotary(qk, b.rotaryTable, this.#length, false);
    const cache = b.caches[index]!;
    native.copy(cache.k.narrow(1, this.#length, count), k);
    native.copy(cache.v.narrow(1, this.#length, count), v);
    const held = (tensor: Tensor) => tensor.narrow(1, 0, this.#length + count);
    const lse = b.lse.narrow(0, 0, heads * count).reshape([1, heads, count]);
    const attended = rows(b.attended);
    const out = attended.reshape([1, count, heads, headDim]);
    native.attentionForward(out, lse, q, held(cache.k), held(cache.v), 1 / Math.sqrt(headDim));
    weights.output.forward(rows(b.branch), attended);
    this.#normalise(weights.mlpNorm.value, b.branch, count);
    weights.gateUp.forward(rows(b.gateUp), rows(b.normed));
    native.swigluForward(rows(b.activated), rows(b.gateUp));
    weights.down.forward(rows(b.branch), rows(b.activated));
  }

  /** stream += branch; normed = its normalised rows. */
  #normalise(weight: Tensor, branch: Tensor | null, count: number): void {
    const b = this.#buffers;
    const rows = (tensor: Tensor) => tensor.narrow(0, 0, count);
    const stream = rows(b.stream);
    const add = branch && rows(branch);
    native.rmsNormForward(
      rows(b.normed),
      add && stream,
      b.rstd.narrow(0, 0, count),
      stream,
      add,
      weight,
      this.model.config.rms_norm_eps,
    );
  }
}
