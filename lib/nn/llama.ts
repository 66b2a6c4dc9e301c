import { Device, type DeviceSpec, type PrecisionSpec } from "../device.js";
import { parseLlamaConfig } from "../hf/config.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { parameterCount } from "../hf/names.js";
import { type ModelFolderExtras, readModelFolder, writeModelFolder } from "./model_folder.js";
import { Parameters } from "./parameters.js";

/** Where a model lives and in which precision it computes; both default to `auto`. */
export interface Placement {
  readonly device?: Device | DeviceSpec;
  readonly precision?: PrecisionSpec;
}

/** A Llama model: its configuration and its parameters on a device. */
export class Llama {
  private constructor(
    readonly config: LlamaConfig,
    readonly device: Device,
    readonly parameters: Parameters,
  ) {}

  /**
   * A model with random weights, from Hugging Face's initialisation.
   * @param config keys of a Hugging Face LlamaConfig
   * @throws ConfigError for keys or a placement that cannot be, DeviceError, OutOfMemoryError
   */
  static create(config: Partial<LlamaConfig>, options: Placement & { seed?: number } = {}): Llama {
    const model = Llama.place(parseLlamaConfig(config, "model"), options);
    model.parameters.initialize(options.seed ?? 0);
    return model;
  }

  /**
   * A model from a Hugging Face folder: `config.json` and `model.safetensors` (one file or an index of several).
   * @throws CheckpointError where the folder is missing, damaged, or holds another architecture; ConfigError,
   *   DeviceError, OutOfMemoryError for the placement
   */
  static async load(folder: string, options: Placement = {}): Promise<Llama> {
    const source = await readModelFolder(folder);
    try {
      const model = Llama.place(source.config, options);
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

  private static place(config: LlamaConfig, { device = "auto", precision = "auto" }: Placement): Llama {
    const opened = typeof device === "string" ? Device.open(device) : device;
    return new Llama(config, opened, new Parameters(config, opened, opened.computeDType(precision)));
  }

  /** How many numbers the model learns. */
  get parameterCount(): number {
    return parameterCount(this.config);
  }

  /**
   * Writes a Hugging Face model folder, in the model's precision (bench/peers/check_hf_load.py loads it in transformers).
   * @param extras a tokenizer to put beside the model
   * @throws DeviceError where the weights cannot be read, and the file system's own errors
   */
  async save(folder: string, extras: ModelFolderExtras = {}): Promise<void> {
    await writeModelFolder(folder, this.parameters, extras);
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
