/** Export of a Hugging Face model folder as one GGUF file, for llama.cpp and programs built on it. */
import { Arguments, either, show } from "../arguments.js";
import { CheckpointTensors } from "../hf/checkpoint_tensors.js";
import { modelFolder } from "../hf/hub_cache.js";
import { readModelConfig } from "../hf/model_config.js";
import { parameterCount } from "../hf/names.js";
import { checkUnasked } from "../hf/unasked_tensors.js";
import { verifyModel } from "../hf/verify_model.js";
import { checkGgufModel } from "./architectures.js";
import { type GgmlType, ggufTensorBytes } from "./format.js";
import { generalMetadata, modelMetadata } from "./metadata.js";
import { type GgufTensor, ggufTensors } from "./tensors.js";
import { tokenizerMetadata } from "./tokenizer.js";
import { checkGgufTarget, writeGguf } from "./writer.js";

/** The element types that matrices can be exported in. */
export const ggufDtypes = ["f32", "f16", "bf16", "q8_0"] as const;

/** An element type that matrices can be exported in. */
export type GgufDtype = (typeof ggufDtypes)[number];

/** Options of `exportGguf`. */
export interface ExportGgufOptions {
  /** Element type of the matrices: `f32`, `f16`, `bf16` or `q8_0`. Default: the checkpoint's own. */
  readonly dtype?: GgufDtype;
  /** Called after every tensor with the bytes written and the total. */
  readonly onProgress?: (bytes: number, totalBytes: number) => void;
  /** Ends the export with the signal's reason; nothing is left behind. */
  readonly signal?: AbortSignal;
}

/** The result of `exportGguf`. */
export interface GgufExport {
  readonly file: string;
  /** The file's size. */
  readonly bytes: number;
  readonly tensors: number;
  /** The model's number of parameters; a tied head counts once. */
  readonly parameters: number;
  /** The most common element type of the matrices; norms are always F32. */
  readonly dtype: GgmlType;
}

/**
 * Writes a model folder as a GGUF file (version 3, in llama.cpp's name for the architecture) with its tokenizer. Matrices keep the
 * checkpoint's element type unless another is asked for; they are never in memory as a whole. The file is written under
 * a temporary name, synced and renamed.
 *
 * The tokenizer must be a byte-level BPE, such as `prepareDataset` trains. A prompt begins and ends as its post-processor
 * says, as in `generate`.
 * @param folder a Hugging Face folder of a model, such as a run's `model/`, or `org/name` of one in Hugging
 *   Face's cache
 * @param file the file to write; its name without `.gguf` becomes the model's. An earlier GGUF file is replaced
 * @throws TypeError for a wrong argument; ConfigError if `file` exists and is not a GGUF file, or llama.cpp computes
 *   something else for such a model
 * @throws CheckpointError if the folder is missing, damaged or not a complete model with its tokenizer, a weight is NaN or
 *   infinite, or llama.cpp has no tokenizer that gives the same ids; DataError if the tokenizer's file is damaged
 *
 * @example
 * ```ts
 * import { exportGguf } from "nextpatch";
 *
 * const { file, bytes } = await exportGguf("runs/mine/model", "mine.gguf", { dtype: "q8_0" });
 * console.log(file, bytes);
 * ```
 */
export async function exportGguf(folder: string, file: string, options: ExportGgufOptions = {}): Promise<GgufExport> {
  const check = new Arguments("exportGguf");
  check.path("folder", folder);
  check.path("file", file);
  const { dtype: wanted, onProgress, signal } = check.options("options", options, ["dtype", "onProgress", "signal"]);
  if (wanted !== undefined && !ggufDtypes.includes(wanted)) {
    check.fail(typeof wanted === "string" ? RangeError : TypeError, "dtype", either(ggufDtypes), show(wanted));
  }
  check.callback("onProgress", onProgress);
  check.signal("signal", signal);
  const path = modelFolder(folder);
  await verifyModel(path);
  const config = await readModelConfig(path);
  checkGgufModel(config, path);
  await checkGgufTarget(file);
  const tokenizer = await tokenizerMetadata(path, config);
  const source = (await CheckpointTensors.open(path)).of(config).onlyFinite();
  try {
    await checkUnasked(source, config);
    const tensors = ggufTensors(config, source, wanted === undefined ? null : (wanted.toUpperCase() as GgmlType));
    const dtype = mostlyOf(tensors);
    const metadata = { ...generalMetadata(file, dtype, config), ...modelMetadata(config), ...tokenizer };
    const bytes = await writeGguf(file, metadata, tensors, onProgress, signal);
    return { file, bytes, tensors: tensors.length, parameters: parameterCount(config), dtype };
  } finally {
    await source.close();
  }
}

/** The element type that takes the most bytes of the file. */
function mostlyOf(tensors: readonly GgufTensor[]): GgmlType {
  const bytes = { F32: 0, F16: 0, BF16: 0, Q8_0: 0 };
  for (const tensor of tensors) bytes[tensor.type] += ggufTensorBytes(tensor);
  return (Object.keys(bytes) as GgmlType[]).reduce((most, type) => (bytes[type] > bytes[most] ? type : most));
}
