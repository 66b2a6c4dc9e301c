import { native, type Tensor } from "../native.js";
import { type Allocated, allocate, disposeAll, reuse, Spec } from "./buffers.js";
import { KeyValueCache, keyValueCacheSpecs } from "./key_value_cache.js";
import type { Llama } from "./llama.js";
import { RotaryEmbeddings, rotaryTableSpecs } from "./rotary_embedding.js";
import type { SamplingSettings } from "./sampling.js";
import { Transformer, transformerSpecs } from "./transformer.js";
import { type ModelWeights, modelWeights } from "./weights.js";

/** What a decoder has room for. */
export interface DecoderLimits {
  /** Tokens of a sequence. */
  readonly capacity: number;
  /** Tokens of a pass, over all sequences: at least one for each. */
  readonly positions: number;
}

function decoderSpecs({ config, parameters, device }: Llama, sequences: number, limits: DecoderLimits) {
  const { capacity, positions } = limits;
  const shape = { config, dtype: parameters.dtype, positions, recompute: null };
  return {
    tokens: new Spec("i32", [positions]),
    history: new Spec("i32", [sequences, capacity]),
    streams: new Spec("i32", [sequences]),
    rotaryTables: rotaryTableSpecs(config, capacity),
    activations: transformerSpecs(shape),
    caches: Array.from({ length: config.num_hidden_layers }, () => keyValueCacheSpecs(shape, sequences, capacity)),
    last: new Spec(shape.dtype, [sequences, config.hidden_size]),
    logits: new Spec(shape.dtype, [sequences, config.vocab_size]),
    next: new Spec("i32", [sequences]),
    workspace: new Spec("f32", [native.sampleWorkspace(device, sequences, config.vocab_size)]),
  };
}

/** A transformer over as many tokens of each sequence, with its input tensor. */
interface Wiring {
  readonly sequences: number;
  readonly count: number;
  readonly tokens: Tensor<"i32">;
  readonly transformer: Transformer;
  /** dt [B, 1, C]: the output at the last token of each sequence. */
  readonly last: Tensor;
}

/** Inference for sequences that have the same number of tokens at any time, with a cache of keys and values. */
export class BatchDecoder {
  readonly #buffers: Allocated<ReturnType<typeof decoderSpecs>>;
  readonly #weights: ModelWeights;
  readonly #rotary: RotaryEmbeddings;
  readonly #caches: readonly KeyValueCache[];
  #streams: Int32Array;
  /** From the last call: the next one usually has as many sequences, and one token of each. */
  #wiring: Wiring | null = null;
  #length = 0;

  /**
   * @param streams for each sequence, the random stream of the seed that its tokens are drawn with
   * @throws OutOfMemoryError
   */
  constructor(
    private readonly model: Llama,
    streams: Int32Array,
    limits: DecoderLimits,
  ) {
    this.#buffers = allocate(model.device, decoderSpecs(model, streams.length, limits));
    this.#weights = modelWeights(model.parameters, null);
    this.#rotary = new RotaryEmbeddings(this.#buffers.rotaryTables, model.config);
    this.#caches = this.#buffers.caches.map((cache) => new KeyValueCache(cache));
    this.#streams = streams;
    this.#buffers.streams.write(streams);
    native.fill(this.#buffers.history, -1);
  }

  /** Tokens of each sequence. */
  get length(): number {
    return this.#length;
  }

  /** Whether its memory has been freed. */
  get disposed(): boolean {
    return this.#buffers.tokens.disposed;
  }

  /** Appends tokens. @param tokens as many of each sequence, one sequence after another */
  append(tokens: Int32Array): void {
    const sequences = this.#streams.length;
    const count = tokens.length / sequences;
    const wiring = this.#wire(sequences, count);
    wiring.tokens.write(tokens);
    const seen = this.#buffers.history.narrow(0, 0, sequences).narrow(1, this.#length, count);
    native.copy(seen, wiring.tokens.reshape([sequences, count]));
    wiring.transformer.forward(this.#length);
    this.#length += count;
  }

  /** Samples the token after the last of each sequence; draws depend on the seed, the stream and the length alone. */
  async sample(sampling: SamplingSettings): Promise<Int32Array> {
    const { repetitionPenalty, temperature, topK, topP, minP, seed } = sampling;
    const { history, streams, workspace } = this.#buffers;
    const { sequences, last } = this.#wiring!;
    const rows = (tensor: Tensor) => tensor.narrow(0, 0, sequences);
    const hidden = last.contiguous ? last : rows(this.#buffers.last).reshape(last.shape);
    if (hidden !== last) native.copy(hidden, last);
    const logits = rows(this.#buffers.logits);
    this.#weights.head.forward(logits, hidden.reshape([sequences, hidden.shape[2]!]));
    const next = this.#buffers.next.narrow(0, 0, sequences);
    native.sample(
      next,
      logits,
      repetitionPenalty === 1 ? null : rows(history),
      rows(streams),
      workspace,
      repetitionPenalty,
      temperature,
      topK,
      topP,
      minP,
      seed,
      this.#length,
    );
    return await next.read();
  }

  /**
   * Goes on with some of the sequences. The last of them take the places of those that are left out, so that few move.
   * @returns for each sequence from now on, which it was before
   */
  keep(wanted: (sequence: number) => boolean): readonly number[] {
    const kept = [...this.#streams.keys()].filter(wanted);
    const moving = kept.filter((sequence) => sequence >= kept.length);
    const order = kept.map((_, place) => (wanted(place) ? place : moving.pop()!));
    for (const [to, from] of order.entries()) {
      if (from === to) continue;
      for (const cache of this.#caches) cache.move(from, to, this.#length);
      const { history } = this.#buffers;
      native.copy(history.narrow(0, to, 1), history.narrow(0, from, 1));
    }
    this.#streams = Int32Array.from(order, (sequence) => this.#streams[sequence]!);
    if (order.length > 0) this.#buffers.streams.narrow(0, 0, order.length).write(this.#streams);
    return order;
  }

  /** Frees the memory; the model stays. */
  dispose(): void {
    disposeAll(this.#buffers);
  }

  /** `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** A transformer over the first `sequences * count` rows of all buffers. */
  #wire(sequences: number, count: number): Wiring {
    if (this.#wiring?.sequences === sequences && this.#wiring.count === count) return this.#wiring;
    const { config, parameters } = this.model;
    const { activations, tokens: all } = this.#buffers;
    const positions = sequences * count;
    const tokens = all.narrow(0, 0, positions);
    const shape = { config, dtype: parameters.dtype, positions, recompute: null };
    const batch = { sequences, positions: count, patchSize: 1 };
    const memory = {
      buffers: reuse(activations, transformerSpecs(shape)),
      rotary: this.#rotary,
      tokens,
      training: null,
      caches: this.#caches,
    };
    const transformer = new Transformer(config, batch, this.#weights, memory, null);
    const last = transformer.out.reshape([sequences, count, config.hidden_size]).narrow(1, count - 1, 1);
    this.#wiring = { sequences, count, tokens, transformer, last };
    return this.#wiring;
  }
}
