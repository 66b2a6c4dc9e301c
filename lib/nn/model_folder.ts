/**
 * A model as a Hugging Face folder: `config.json`, the weights in one file or several, `generation_config.json` and the
 * tokenizer, if there is one.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Tokenizer } from "../data/tokenizer.js";
import { readCompanion, TOKENIZER_COMPANIONS, TOKENIZER_JSON } from "../data/tokenizer_files.js";
import { makeFolder, syncFolder } from "../disk/durable.js";
import { inputLimits } from "../disk/input_limits.js";
import { parseJsonOf } from "../disk/json.js";
import { MANIFEST, ManifestWriter } from "../disk/manifest.js";
import { readText, readWhole } from "../disk/read_text.js";
import { CheckpointError, unusable } from "../errors.js";
import { CheckpointTensors, parameterDtype } from "../hf/checkpoint_tensors.js";
import { generationConfig, toHuggingFaceConfig } from "../hf/config.js";
import { readEnds } from "../hf/generation_config.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { readModelConfig } from "../hf/model_config.js";
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
   * A tokenizer to write beside the model, or its `tokenizer.json`, with the files of a tokenizer that lie beside it. If
   * there is no `tokenizer_config.json`, it is made from the tokens that begin (default: that which ends) and end a text,
   * and the longest text (of a `Tokenizer`: the model's context).
   */
  readonly tokenizer?: Tokenizer | TokenizerFile;
}

/** A `tokenizer.json`, and what it does not say. */
export interface TokenizerFile {
  readonly path: string;
  readonly begin?: string;
  readonly endOfText: string;
  readonly maxLength: number;
}

interface File {
  readonly name: string;
  readonly content: string | Buffer;
}

/** What is written with a model, read whole. */
interface Extras {
  readonly base: Awaited<ReturnType<typeof readBase>> | null;
  readonly files: readonly File[];
}

/**
 * Opens a folder: its configuration, and the weights to load. Where it has a manifest, every byte is compared first.
 * @throws CheckpointError, ConfigError
 */
export async function readModelFolder(folder: string): Promise<ModelSource> {
  await verifyModel(folder);
  const config = await readModelConfig(folder);
  const ends = await readEnds(folder, config);
  const tensors = (await CheckpointTensors.open(folder)).of(config);
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
  return { config: parseJsonOf(text, path, CheckpointError) as object, generation };
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
  const read = await readExtras(parameters.config, extras); // nothing is touched if one of them cannot be had
  await makeFolder(folder);
  await rm(join(folder, MANIFEST), { force: true }); // an earlier model's: until the last file is there, it has none
  const manifest = new ManifestWriter(folder);
  const { config, dtype, compute } = parameters;
  await writeFiles(manifest, { config, dtype, weights: parameterEntries(parameters, deviceElements(compute)) }, read);
  await manifest.finish();
  await syncFolder(folder);
}

/** Writes the files of a model into a manifest's folder, which exists. */
export async function writeModelFiles(
  manifest: ManifestWriter,
  content: ModelContent,
  extras: ModelFolderExtras,
): Promise<void> {
  await writeFiles(manifest, content, await readExtras(content.config, extras));
}

async function writeFiles(manifest: ManifestWriter, content: ModelContent, extras: Extras): Promise<void> {
  const { config, dtype, weights } = content;
  const { base, files } = extras;
  const type = dtype === "bf16" ? "bfloat16" : "float32";
  await manifest.write("config.json", json({ ...base?.config, ...toHuggingFaceConfig(config, type) }));
  await manifest.write(GENERATION_CONFIG, base?.generation ?? json(generationConfig(config)));
  for (const [name, digest] of await writeWeights(manifest.folder, weights)) manifest.note(name, digest);
  for (const { name, content: text } of files) await manifest.write(name, text);
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** What is written with a model, read whole. @throws CheckpointError, DataError, errors of the file system */
async function readExtras(config: LlamaConfig, { base, tokenizer }: ModelFolderExtras): Promise<Extras> {
  const kept = base === undefined ? null : await readBase(base);
  if (tokenizer === undefined) return { base: kept, files: [] };
  return {
    base: kept,
    files: tokenizer instanceof Tokenizer ? await filesOf(tokenizer, config) : await filesAt(tokenizer),
  };
}

async function filesAt({ path, begin, endOfText, maxLength }: TokenizerFile): Promise<File[]> {
  const tokenizer = { name: TOKENIZER_JSON, content: await readWhole(path, inputLimits.tokenizer) };
  return withCompanions(tokenizer, path, { begin: begin ?? endOfText, endOfText, maxLength });
}

async function filesOf(tokenizer: Tokenizer, config: LlamaConfig): Promise<File[]> {
  const { json: content, file, endOfText, endOfTextId } = tokenizer;
  const [beginId = endOfTextId] = (await tokenizer.frame()).before;
  const begin = await tokenizer.decode([beginId], { keepSpecialTokens: true });
  const ends = { begin, endOfText, maxLength: config.max_position_embeddings };
  return withCompanions({ name: TOKENIZER_JSON, content }, file, ends);
}

/** @param path of a `tokenizer.json` whose companions lie beside it; null: it has none */
async function withCompanions(
  tokenizer: File,
  path: string | null,
  { begin, endOfText, maxLength }: Omit<Required<TokenizerFile>, "path">,
): Promise<File[]> {
  const files = [tokenizer];
  for (const name of path === null ? [] : TOKENIZER_COMPANIONS) {
    const content = await readCompanion(path!, name);
    if (content !== null) files.push({ name, content });
  }
  if (files.some(({ name }) => name === "tokenizer_config.json")) return files;
  const config = {
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: begin,
    eos_token: endOfText,
    model_max_length: maxLength,
    clean_up_tokenization_spaces: false,
  };
  return [...files, { name: "tokenizer_config.json", content: json(config) }];
}
