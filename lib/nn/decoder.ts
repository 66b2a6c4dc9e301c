import { Arguments } from "../arguments.js";
import { BatchDecoder } from "./batch_decoder.js";
import { asIds } from "./ids.js";
import { checkModel, type Llama } from "./llama.js";
import { checkSampling, type SamplingSettings } from "./sampling.js";

/**
 * Token-by-token inference with a cache of keys and values: every token runs through the model once.
 *
 * @example
 * ```ts
 * import { Decoder, Llama, Tokenizer } from "nextpatch";
 *
 * using model = await Llama.load("runs/mine/model");
 * const tokenizer = await Tokenizer.fromFile("runs/mine/model/tokenizer.json");
 * using decoder = new Decoder(model, 32); // tokens in the cache, at most
 * const greedy = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 1 };
 * const ids = [await decoder.next(await tokenizer.encode("The river"), greedy)];
 * while (ids.length < 8) ids.push(await decoder.next(Int32Array.of(ids.at(-1)!), greedy));
 * console.log(await tokenizer.decode(ids));
 * ```
 */
export class Decoder {
  readonly #batch: BatchDecoder;

  /**
   * Allocates the memory for the cache and for passes of up to `capacity` tokens.
   * @param capacity the most tokens, prompt included, in the cache: at most the model's context
   * @throws TypeError or RangeError for a wrong argument, OutOfMemoryError
   */
  constructor(
    model: Llama,
    readonly capacity: number,
  ) {
    const check = new Arguments("Decoder");
    checkModel(check, model);
    check.wholeNumber("capacity", capacity, 1, model.config.max_position_embeddings);
    this.#batch = new BatchDecoder(model, Int32Array.of(0), { capacity, positions: capacity });
  }

  /** Tokens in the cache. */
  get length(): number {
    return this.#batch.length;
  }

  /**
   * Appends tokens and samples the next one. One call at a time.
   * @param tokens at least one
   * @throws TypeError or RangeError for a wrong argument, more tokens than the capacity has room for, or (once the
   *   device has seen it) an id outside the vocabulary; DeviceError
   */
  async next(tokens: Int32Array | Uint32Array, sampling: SamplingSettings): Promise<number> {
    this.#batch.append(this.#check(tokens, sampling));
    const [drawn] = await this.#batch.sample(sampling);
    return drawn!;
  }

  /** Frees the cache; the model stays. */
  dispose(): void {
    this.#batch.dispose();
  }

  /** `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The ids. Runs before anything is enqueued: a rejected call leaves the cache unchanged. */
  #check(tokens: Int32Array | Uint32Array, sampling: SamplingSettings): Int32Array {
    const check = new Arguments("Decoder.next");
    if (this.#batch.disposed) check.fail(TypeError, "this", "a live decoder", "a disposed one");
    const room = this.capacity - this.length;
    const expected = `1 to ${room} tokens (of a capacity of ${this.capacity})`;
    const ids = asIds(check, "tokens", tokens);
    if (tokens.length === 0 || tokens.length > room) check.fail(RangeError, "tokens", expected, String(tokens.length));
    checkSampling(
      check,
      check.options("sampling", sampling, ["repetitionPenalty", "temperature", "topK", "topP", "minP", "seed"]),
    );
    return ids;
  }
}
