/**
 * A model as a Hugging Face folder: `config.json`, the weights in one file or several, `generation_config.json` and the
 * tokenizer, if there is one.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { readCompanion, TOKENIZER_COMPANIONS, TOKENIZER_JSON } from "../data/tokenizer_files.js";
import { makeFolder, syncFolder } from "../disk/durable.js";
import { inputLimits } from "../disk/input_limits.js";
import { MANIFEST, ManifestWriter } from "../disk/manifest.js";
import { readText, readWhole } from "../disk/read_text.js";
import { CheckpointError, unusable } from "../errors.js";
import { CheckpointTensors, parameterDtype } from "../hf/checkpoint_tensors.js";
import { generationConfig, toHuggingFaceConfig } from "../hf/config.js";
import { readEnds } from "../hf/generation_config.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { parseCheckpointJson, readModelConfig } from "../hf/model_config.js";
import type { SafetensorsEntry } from "../hf/safetensors.js";
import { checkUnasked } from "../hf/unasked_tensors.js";
import { verifyModel } from "../hf/verify_model.js";
import { writeWeights } from "../hf/weight_files.js";
import { checkFinite } from "./finite.js";
import { deviceElements, parameterEntries, Upload } from "./parameter_transfer.js";
import type { Parameters } from "./parameters.js";

/** An opened model folder, whose weights have not been read yet. */
export interface ModelSource {
  readonly config: LlamaConfig;
  /** The tokens that end a generation. */
  readonly ends: readonly number[];
  /** Tensors in the folder that are none of the model's, and change nothing. */
  readonly unasked: readonly string[];
  /**
   * Reads all weights into a model's parameters.
   * @throws CheckpointError naming a tensor that is missing or wrong, or an element that is NaN or infinite
   */
  load(parameters: Parameters): Promise<void>;
  close(): Promise<void>;
}

/** Extra files in a model's folder. */
export interface ModelFolderExtras {
  /**
   * The folder of the model that this one continues: keys of its `config.json` that this model does not decide stay as
   * they are, and so does its `generation_config.json`.
   */
  readonly base?: string;
  /**
   * A `tokenizer.json` to write beside the model, with the files of a tokenizer that lie beside it. If there is no
   * `tokenizer_config.json`, it is made from the tokens that begin (default: that which ends) and end a text, and the
   * longest text.
   */
  readonly tokenizer?: {
    readonly path: string;
    readonly begin?: string;
    readonly endOfText: string;
    readonly maxLength: number;
  };
}

/**
 * Opens a folder: its configuration, and the weights to load. Where it has a manifest, every byte is compared first.
 * @throws CheckpointError, ConfigError
 */
export async function readModelFolder(folder: string): Promise<ModelSource> {
  await verifyModel(folder);
  const config = await readModelConfig(folder);
  const ends = await readEnds(folder, config);
  const tensors = await CheckpointTensors.open(folder);
  const unasked = await checkUnasked(tensors, config).catch(async (error: unknown) => {
    await tensors.close();
    throw error;
  });
  return {
    config,
    ends,
    unasked,
    load: (parameters) => loadParameters(tensors, parameters),
    close: () => tensors.close(),
  };
}

async function loadParameters(tensors: CheckpointTensors, parameters: Parameters): Promise<void> {
  const upload = new Upload(parameters);
  for (const slot of parameters.layout.slots) {
    const place = parameters.flatView(parameters.master, slot);
    await upload.tensor(tensors, slot, parameterDtype(tensors, slot), place);
  }
  await checkFinite(parameters, parameters.master, tensors.folder);
  parameters.refreshCompute();
  await parameters.device.synchronize();
}

const GENERATION_CONFIG = "generation_config.json";

/** @throws CheckpointError if config.json is missing or damaged */
async function readBase(base: string): Promise<{ config: object; generation: Buffer | null }> {
  const path = join(base, "config.json");
  const text = await readText(path, inputLimits.smallJson).catch((cause: unknown) => {
    throw new CheckpointError(`${path}: expected a model's configuration but received ${unusable(cause)}`, { cause });
  });
  const generation = await readWhole(join(base, GENERATION_CONFIG), inputLimits.smallJson).catch(() => null);
  return { config: parseCheckpointJson(text, path) as object, generation };
}

/** What a model's folder is written from. */
export interface ModelContent {
  readonly config: LlamaConfig;
  /** Of the weights. */
  readonly dtype: "f32" | "bf16";
  readonly weights: readonly SafetensorsEntry[];
}

/**
 * Writes a model's folder, creating it if needed, with its manifest; when it resolves, every file in it is on the disk.
 */
export async function writeModelFolder(
  folder: string,
  parameters: Parameters,
  extras: ModelFolderExtras,
): Promise<void> {
  await makeFolder(folder);
  await rm(join(folder, MANIFEST), { force: true }); // an earlier model's: until the last file is there, it has none
  const manifest = new ManifestWriter(folder);
  const { config, dtype, compute } = parameters;
  await writeModelFiles(
    manifest,
    { config, dtype, weights: parameterEntries(parameters, deviceElements(compute)) },
    extras,
  );
  await manifest.finish();
  await syncFolder(folder);
}

/** Writes the files of a model into a manifest's folder, which exists. */
export async function writeModelFiles(
  manifest: ManifestWriter,
  { config, dtype, weights }: ModelContent,
  { tokenizer, base }: ModelFolderExtras,
): Promise<void> {
  const json = (name: string, value: unknown) => manifest.write(name, `${JSON.stringify(value, null, 2)}\n`);
  const kept = base === undefined ? null : await readBase(base);
  const type = dtype === "bf16" ? "bfloat16" : "float32";
  await json("config.json", { ...kept?.config, ...toHuggingFaceConfig(config, type) });
  if (kept?.generation) await manifest.write(GENERATION_CONFIG, kept.generation);
  else await json(GENERATION_CONFIG, generationConfig(config));
  for (const [name, digest] of await writeWeights(manifest.folder, weights)) manifest.note(name, digest);
  if (tokenizer === undefined) return;
  await manifest.write(TOKENIZER_JSON, await readWhole(tokenizer.path, inputLimits.tokenizer));
  let configured = false;
  for (const name of TOKENIZER_COMPANIONS) {
    const content = await readCompanion(tokenizer.path, name);
    if (content === null) continue;
    await manifest.write(name, content);
    configured ||= name === "tokenizer_config.json";
  }
  if (configured) return;
  await json("tokenizer_config.json", {
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: tokenizer.begin ?? tokenizer.endOfText,
    eos_token: tokenizer.endOfText,
    model_max_length: tokenizer.maxLength,
    clean_up_tokenization_spaces: false,
  });
}
