/** Export of a model folder as another Hugging Face folder: in another element type, in files of another size. */
import { existsSync } from "node:fs";
import { readdir, realpath, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { Arguments, either, show } from "../arguments.js";
import { TOKENIZER_COMPANIONS, TOKENIZER_JSON } from "../data/tokenizer_files.js";
import { makeFolder, refillFolder, writeFolder } from "../disk/durable.js";
import { inputLimits } from "../disk/input_limits.js";
import { isLink, LINK_TO_NOTHING } from "../disk/is_link.js";
import { parseJsonOf } from "../disk/json.js";
import { MANIFEST } from "../disk/manifest.js";
import { readText, readWhole } from "../disk/read_text.js";
import { CheckpointError, ConfigError, unusable } from "../errors.js";
import { CheckpointTensors, parameterDtype } from "./checkpoint_tensors.js";
import { bitsPerElement, byteSize } from "./dtypes.js";
import { convertFloats, type FloatDtype } from "./float_types.js";
import { modelFolder } from "./hub_cache.js";
import { readModelConfig } from "./model_config.js";
import { parameterCount, parameterTable } from "./names.js";
import type { SafetensorsEntry } from "./safetensors.js";
import { tensorPieces } from "./tensor_pieces.js";
import { checkUnasked } from "./unasked_tensors.js";
import { verifyModel } from "./verify_model.js";
import { isWeightFile, SHARD_BYTES, writeWeights } from "./weight_files.js";

const names = { f32: "float32", f16: "float16", bf16: "bfloat16" } as const;

/** The element types that a Hugging Face folder can be exported in. */
export const hfDtypes = ["f32", "f16", "bf16"] as const;

/** An element type that a Hugging Face folder can be exported in. */
export type HfDtype = (typeof hfDtypes)[number];

/** Options of `exportHf`. */
export interface ExportHfOptions {
  /** Element type of all weights, rounded to the nearest, ties to even. Default: each tensor's own. */
  readonly dtype?: HfDtype;
  /** The most bytes of tensors in a file, unless one tensor has more. Default 5e9, as in huggingface_hub. */
  readonly maxShardBytes?: number;
  /** Called with the bytes of tensors written and the total. */
  readonly onProgress?: (bytes: number, totalBytes: number) => void;
  /** Ends the export with the signal's reason; nothing is left behind. */
  readonly signal?: AbortSignal;
}

/** The result of `exportHf`. */
export interface HfExport {
  readonly folder: string;
  /** The size of the files of weights. */
  readonly bytes: number;
  readonly tensors: number;
  /** The model's number of parameters; a tied head counts once. */
  readonly parameters: number;
  /** Tensors of other parts in the model's folder, such as a vision tower's, which are left out. */
  readonly unasked: readonly string[];
}

const GENERATION_CONFIG = "generation_config.json";
const copied = [GENERATION_CONFIG, TOKENIZER_JSON, ...TOKENIZER_COMPANIONS];
const replaced = ["config.json", MANIFEST, ...copied];
const isReplaced = (name: string): boolean => replaced.includes(name) || isWeightFile(name);

/** The folder in an existing one that an export is written in. */
const UNFINISHED = ".export";

/**
 * Writes a model folder's copy: its weights, its `config.json` with their element type, and its tokenizer, chat template
 * and `generation_config.json` as they are. No tensor is in memory as a whole. A new folder is written under a temporary
 * name, synced and renamed; one that exists is filled in a folder inside it, and gets the files when all are complete.
 * @param folder a Hugging Face folder of a `LlamaForCausalLM`, such as a run's `model/`, or `org/name` of one in Hugging
 *   Face's cache
 * @param out the folder to write; an earlier export is replaced
 * @throws TypeError or RangeError for a wrong argument; ConfigError if `out` is the model's own folder, or holds
 *   something else than a model
 * @throws CheckpointError if the model's folder is missing, damaged or not a complete Llama, or a weight is NaN or infinite
 *
 * @example
 * ```ts
 * import { exportHf } from "nextpatch";
 *
 * const { folder, bytes } = await exportHf("runs/mine/model", "mine-bf16", { dtype: "bf16" });
 * console.log(folder, bytes);
 * ```
 */
export async function exportHf(folder: string, out: string, options: ExportHfOptions = {}): Promise<HfExport> {
  const check = new Arguments("exportHf");
  check.path("folder", folder);
  check.path("out", out);
  const {
    dtype,
    maxShardBytes = SHARD_BYTES,
    onProgress,
    signal,
  } = check.options("options", options, ["dtype", "maxShardBytes", "onProgress", "signal"]);
  if (dtype !== undefined && !hfDtypes.includes(dtype)) {
    check.fail(typeof dtype === "string" ? RangeError : TypeError, "dtype", either(hfDtypes), show(dtype));
  }
  check.wholeNumber("maxShardBytes", maxShardBytes, 1);
  check.callback("onProgress", onProgress);
  check.signal("signal", signal);
  const path = modelFolder(folder);
  await verifyModel(path);
  const config = await readModelConfig(path);
  const existing = await existingTarget(path, out);
  const source = (await CheckpointTensors.open(path)).of(config).onlyFinite();
  try {
    const unasked = await checkUnasked(source, config);
    const table = parameterTable(config);
    const wanted = dtype === undefined ? null : (dtype.toUpperCase() as FloatDtype);
    const entries = table.map((parameter) => {
      const from = parameterDtype(source, parameter);
      return convertedEntry(source, parameter, from, wanted ?? from);
    });
    const total = entries.reduce((sum, entry) => sum + byteSize(entry.dtype, entry.shape), 0);
    let [bytes, written] = [0, 0];
    const told = (size: number): void => {
      signal?.throwIfAborted();
      written += size;
      onProgress?.(written, total);
    };
    const fill = async (aside: string): Promise<void> => {
      await makeFolder(aside);
      await writeConfig(path, aside, dtype);
      await copyFiles(path, aside);
      const counted = entries.map((entry) => ({ ...entry, data: () => counting(entry.data(), told) }));
      const files = await writeWeights(aside, counted, maxShardBytes);
      bytes = [...files.values()].reduce((sum, file) => sum + file.bytes, 0);
    };
    if (existing !== null) await refillFolder(existing, UNFINISHED, "config.json", fill, isReplaced);
    else {
      await makeFolder(dirname(resolve(out)));
      await writeFolder(resolve(out), fill);
    }
    return { folder: out, bytes, tensors: entries.length, parameters: parameterCount(config), unasked };
  } finally {
    await source.close();
  }
}

function convertedEntry(
  source: CheckpointTensors,
  { name, shape }: { readonly name: string; readonly shape: readonly number[] },
  from: FloatDtype,
  to: FloatDtype,
): SafetensorsEntry {
  const data = async function* (): AsyncGenerator<Uint8Array> {
    for await (const { bytes } of tensorPieces(source, name, bitsPerElement[from] / 8)) {
      yield convertFloats(bytes, from, to);
    }
  };
  return { name, shape, dtype: to, data };
}

/** Passes pieces on, and tells the size of each when it has been taken. */
async function* counting(
  pieces: ReturnType<SafetensorsEntry["data"]>,
  told: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    yield piece;
    told(piece.byteLength);
  }
}

/** transformers 5 reads `dtype`, transformers 4, vLLM and others `torch_dtype`. */
async function writeConfig(from: string, to: string, dtype: HfDtype | undefined): Promise<void> {
  const path = join(from, "config.json");
  const before = parseJsonOf(await readText(path, inputLimits.smallJson), path, CheckpointError) as object;
  const types = dtype === undefined ? {} : { torch_dtype: names[dtype], dtype: names[dtype] };
  const text = `${JSON.stringify({ ...before, ...types }, null, 2)}\n`;
  await writeFile(join(to, "config.json"), text, { flush: true });
}

async function copyFiles(from: string, to: string): Promise<void> {
  for (const name of copied) {
    const path = join(from, name);
    if (existsSync(path))
      await writeFile(join(to, name), await readWhole(path, inputLimits.tokenizer), { flush: true });
  }
}

/**
 * The folder to fill; null: it does not exist yet. A link to a folder stays a link.
 * @throws ConfigError if anything but an earlier export could get lost
 */
async function existingTarget(model: string, out: string): Promise<string | null> {
  const expected = "a new folder, or an earlier export to replace,";
  const found = await stat(out).catch(async (cause: NodeJS.ErrnoException) => {
    const missing = cause.code === "ENOENT";
    if (missing && !(await isLink(out))) return null;
    const received = missing ? LINK_TO_NOTHING : unusable(cause, "folder");
    throw new ConfigError(`${out}: expected ${expected} but received ${received}`, { cause });
  });
  if (found === null) return null;
  if (!found.isDirectory()) throw new ConfigError(`${out}: expected ${expected} but received a file or a device`);
  const target = await realpath(out);
  if (target === (await realpath(model))) {
    throw new ConfigError(`${out}: expected ${expected} but received the folder of the model itself`);
  }
  const other = (await readdir(out)).find((name) => !isReplaced(name) && name !== UNFINISHED && name !== "lost+found");
  if (other === undefined) return target;
  throw new ConfigError(`${out}: expected ${expected} but received a folder that holds ${other}`);
}
