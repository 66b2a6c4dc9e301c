import { inspect } from "node:util";
import { Arguments } from "../arguments.js";
import { deepFreeze } from "../config/deep_freeze.js";
import type { ModelKeys } from "../config/model_input.js";
import { Tokenizer } from "../data/tokenizer.js";
import { checkDevice, checkPrecision, Device, type DeviceSpec, type PrecisionSpec } from "../device.js";
import { parseShaped } from "../hf/config.js";
import { modelFolder } from "../hf/hub_cache.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { parameterCount } from "../hf/names.js";
import type { Preset } from "../hf/presets.js";
import type { Tensor } from "../native.js";
import { type ForwardOptions, type ForwardResult, forward } from "./forward.js";
import { type ModelFolderExtras, type ModelSource, readModelFolder, writeModelFolder } from "./model_folder.js";
import { Parameters } from "./parameters.js";
import { alone, type RankShare } from "./sharding.js";
import type { TokenBatch } from "./token_batch.js";

/** The device of a model and the precision it computes in; both default to `auto`. */
export interface Placement {
  readonly device?: Device | DeviceSpec;
  readonly precision?: PrecisionSpec;
  /**
   * Which of several ranks this is.
   * @internal
   */
  readonly share?: RankShare;
}

/**
 * A Llama model: its configuration and its parameters on a device.
 *
 * @example
 * ```ts
 * import { Llama, Tokenizer } from "nextpatch";
 *
 * using model = await Llama.load("runs/mine/model");
 * const tokenizer = await Tokenizer.fromFile("runs/mine/model/tokenizer.json");
 * const { logits } = model.forward(await tokenizer.encode("The river"));
 * console.log(logits.shape, await logits.read()); // [1, tokens, vocabulary]
 * logits.dispose();
 * ```
 */
export class Llama {
  private constructor(
    readonly config: LlamaConfig,
    readonly device: Device,
    readonly parameters: Parameters,
    /**
     * The tokens that end a generation: `eos_token_id` of the folder's `generation_config.json`, else of its
     * `config.json`. Empty if neither names one, and for a model that was not loaded: then the tokenizer knows it.
     */
    readonly ends: readonly number[],
    /** The folder that it was loaded from; null: it was not. */
    readonly folder: string | null,
    /** Tensors in that folder that are none of the model's, such as a vision tower's. */
    readonly unasked: readonly string[],
  ) {}

  /**
   * A model with random weights, using Hugging Face's initialisation.
   * @param config keys of a Hugging Face `config.json`: the five of the shape, such as a preset's, and any others
   * @throws TypeError or RangeError for a wrong argument, ConfigError for a wrong config or one without its shape,
   *   DeviceError, OutOfMemoryError
   */
  static create(config: Preset & ModelKeys, options: Placement & { seed?: number } = {}): Llama {
    const check = new Arguments("Llama.create");
    const { seed = 0 } = checkPlacement(check, options, ["device", "precision", "share", "seed"]);
    check.wholeNumber("seed", seed, 0);
    const model = Llama.place(parseShaped(config, "model"), null, null, options);
    model.parameters.initialize(seed);
    return model;
  }

  /**
   * A model from a Hugging Face folder: `config.json` and `model.safetensors` (one file or an index of several).
   * @param folder the folder, or `org/name` of a model in Hugging Face's cache; nothing is fetched
   * @throws TypeError or RangeError for a wrong argument; CheckpointError if the folder is missing, is not what its
   *   `manifest.json` says, if there is one, holds another architecture, a tensor that would change what the model
   *   computes, or a weight that is NaN or infinite; DeviceError, OutOfMemoryError
   */
  static async load(folder: string, options: Placement = {}): Promise<Llama> {
    const check = new Arguments("Llama.load");
    check.path("folder", folder);
    checkPlacement(check, options, ["device", "precision", "share"]);
    const path = modelFolder(folder);
    const source = await readModelFolder(path);
    try {
      const model = Llama.place(source.config, path, source, options);
      try {
        await source.load(model.parameters);
      } catch (error) {
        model.dispose();
        throw error;
      }
      return model;
    } finally {
      await source.close();
    }
  }

  private static place(
    config: LlamaConfig,
    folder: string | null,
    source: ModelSource | null,
    { device = "auto", precision = "auto", share = alone }: Placement,
  ): Llama {
    const opened = typeof device === "string" ? Device.open(device) : device;
    return new Llama(
      deepFreeze(config),
      opened,
      new Parameters(config, opened, opened.computeDType(precision), share),
      source?.ends ?? [],
      folder,
      source?.unasked ?? [],
    );
  }

  /** The number of parameters. */
  get parameterCount(): number {
    return parameterCount(this.config);
  }

  /**
   * A parameter as the model computes with it: a view of its memory, in the model's precision.
   * @param name as in Hugging Face's model: `model.layers.0.self_attn.q_proj.weight`
   * @throws TypeError for a disposed model; RangeError that names the nearest parameter, if there is none of this name
   */
  parameter(name: string): Tensor<"f32" | "bf16"> {
    const check = new Arguments("Llama.parameter");
    checkLive(check, "this", this);
    const { parameters } = this;
    return parameters.view(parameters.compute as Tensor<"f32" | "bf16">, parameters.named(check, name).name);
  }

  /**
   * Enqueues a forward of B sequences of T positions, in passes of so many positions that memory is bounded.
   * @param tokens `T * patchSize` ids a sequence; T from 1 to the model's context
   * @throws TypeError or RangeError for a wrong argument, OutOfMemoryError; for a tensor with an id outside the
   *   vocabulary, the next wait throws RangeError
   */
  forward<L extends boolean = true, H extends boolean = false>(
    tokens: TokenBatch,
    options: ForwardOptions<L, H> = {},
  ): ForwardResult<L, H> {
    checkLive(new Arguments("Llama.forward"), "this", this);
    return forward(this.parameters, tokens, options) as ForwardResult<L, H>;
  }

  /**
   * Writes a Hugging Face model folder, in the model's precision (bench/peers/check_hf_load.py loads it in transformers),
   * with a `manifest.json` of its files.
   * @param extras a tokenizer to write beside the model, with the files that lie beside it. What is wrong with them is found
   *   before anything is written
   * @throws TypeError or RangeError for a wrong argument, such as a tokenizer with more tokens than the model;
   *   DataError for one without an end-of-text token; CheckpointError for a `base` that is no model's folder; DeviceError if
   *   the weights cannot be read; errors of the file system
   */
  async save(folder: string, extras: ModelFolderExtras = {}): Promise<void> {
    const check = new Arguments("Llama.save");
    checkLive(check, "this", this);
    check.path("folder", folder);
    const { tokenizer, base } = check.options("extras", extras, ["tokenizer", "base"]);
    if (base !== undefined) check.path("base", base);
    if (tokenizer instanceof Tokenizer) checkTokenizerFits(check, this, tokenizer);
    else if (tokenizer !== undefined) {
      check.path("tokenizer.path", check.object("tokenizer", tokenizer).path);
      check.string("tokenizer.endOfText", tokenizer.endOfText);
      check.wholeNumber("tokenizer.maxLength", tokenizer.maxLength, 1);
    }
    await writeModelFolder(folder, this.parameters, extras);
  }

  /**
   * What console.log shows.
   * @internal
   */
  [inspect.custom](): string {
    const { model_type, hidden_size, num_hidden_layers: layers, vocab_size } = this.config;
    const { backend, index } = this.device;
    const dtype = this.parameters.dtype === "bf16" ? "bf16" : "fp32";
    const live = this.parameters.master.disposed ? ", disposed" : "";
    return (
      `Llama ${model_type}, ${(this.parameterCount / 1e6).toFixed(2)} M parameters, ${dtype} on ${backend}:${index}, ` +
      `hidden size ${hidden_size}, ${layers} layers, vocabulary ${vocab_size}${live}`
    );
  }

  /** Frees the parameters' memory. */
  dispose(): void {
    this.parameters.dispose();
  }

  /** `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Checks an argument that must be a model whose memory has not been freed. @throws TypeError */
export function checkModel(check: Arguments, model: Llama): void {
  check.instance("model", model, Llama);
  checkLive(check, "model", model);
}

function checkLive(check: Arguments, name: string, { parameters }: Llama): void {
  if (parameters.master.disposed) check.fail(TypeError, name, "a live model", "a disposed one");
}

/** Checks a tokenizer: one with tokens that the model does not have cannot be its own. @throws TypeError, RangeError */
export function checkTokenizerFits(check: Arguments, { config }: Llama, tokenizer: Tokenizer): void {
  check.instance("tokenizer", tokenizer, Tokenizer);
  if (tokenizer.vocabSize <= config.vocab_size) return;
  const expected = `at most the model's ${config.vocab_size} tokens`;
  check.fail(RangeError, "tokenizer", expected, String(tokenizer.vocabSize));
}

/** Checks the device and precision of a model. @throws TypeError, RangeError */
function checkPlacement<T extends Placement>(check: Arguments, options: T, known: readonly string[]): T {
  const { device = "auto", precision = "auto" } = check.options<Placement, readonly string[]>(
    "options",
    options,
    known,
  );
  checkDevice(check, "device", device);
  checkPrecision(check, "precision", precision);
  return options;
}
