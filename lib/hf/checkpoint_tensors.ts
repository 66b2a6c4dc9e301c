/**
 * The tensors of a Hugging Face model folder, whether it holds one `model.safetensors` or several files named by
 * `model.safetensors.index.json` (`{"weight_map": {"TENSOR": "model-00001-of-00002.safetensors"}}`).
 */
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { show } from "../arguments.js";
import { inputLimits } from "../disk/input_limits.js";
import { parseJsonOf } from "../disk/json.js";
import { readText } from "../disk/read_text.js";
import { CheckpointError, unusable } from "../errors.js";
import type { FloatDtype } from "./float_types.js";
import { foreignFolder } from "./foreign_folder.js";
import type { LlamaConfig } from "./llama_config.js";
import type { Parameter } from "./names.js";
import { checkPart } from "./not_finite.js";
import { ownNames, similarName } from "./other_names.js";
import { SafetensorsFile, type TensorInfo } from "./safetensors.js";
import { indexFile, singleFile } from "./weight_files.js";

/** Where a tensor is, and its name there. */
interface Place {
  readonly file: SafetensorsFile;
  readonly name: string;
}

/** An open model folder: its tensors by name, each read from the file that holds it. */
export class CheckpointTensors {
  private constructor(
    readonly folder: string,
    private readonly places: ReadonlyMap<string, Place>,
    private readonly files: readonly SafetensorsFile[],
    private readonly finite = false,
  ) {}

  /** The same tensors, of which only finite elements can be read. */
  onlyFinite(): CheckpointTensors {
    return new CheckpointTensors(this.folder, this.places, this.files, true);
  }

  /** The same tensors by the names that a model of this config has for them, where another tool has given them others. */
  of(config: LlamaConfig): CheckpointTensors {
    const names = ownNames(this.names(), config);
    const places = new Map([...this.places].map(([name, place]) => [names.get(name) ?? name, place]));
    return new CheckpointTensors(this.folder, places, this.files, this.finite);
  }

  /**
   * Opens a folder's `model.safetensors`, or else the files of its index.
   * @throws CheckpointError if it has neither, a file is damaged, or a file lacks a tensor the index places there
   */
  static async open(folder: string): Promise<CheckpointTensors> {
    const single = join(folder, singleFile);
    if (existsSync(single)) {
      const file = await SafetensorsFile.open(single);
      return new CheckpointTensors(folder, new Map(file.names().map((name) => [name, { file, name }])), [file]);
    }
    const index = join(folder, indexFile);
    if (!existsSync(index)) {
      const received = foreignFolder(folder) ?? "neither";
      throw new CheckpointError(`${folder}: expected ${singleFile} or ${indexFile} but received ${received}`);
    }
    return CheckpointTensors.openIndex(folder, await readWeightMap(index), index);
  }

  private static async openIndex(folder: string, weightMap: ReadonlyMap<string, string>, index: string) {
    const files = new Map<string, SafetensorsFile>();
    const places = new Map<string, Place>();
    try {
      for (const [name, fileName] of weightMap) {
        const file = files.get(fileName) ?? (await SafetensorsFile.open(join(folder, fileName)));
        files.set(fileName, file);
        if (!file.has(name)) {
          throw new CheckpointError(
            `${index}: expected tensor "${name}" in ${fileName} but received a file without it`,
          );
        }
        places.set(name, { file, name });
      }
    } catch (error) {
      await Promise.all([...files.values()].map((file) => file.close()));
      throw error;
    }
    return new CheckpointTensors(folder, places, [...files.values()]);
  }

  /** The names of all tensors. */
  names(): string[] {
    return [...this.places.keys()];
  }

  /** Whether there is a tensor of that name. */
  has(name: string): boolean {
    return this.places.has(name);
  }

  /** Element type and shape of a tensor. @throws CheckpointError if there is none of that name */
  info(name: string): TensorInfo {
    const place = this.place(name);
    return place.file.info(place.name);
  }

  /**
   * As `SafetensorsFile.readInto`, from the file that holds the tensor.
   * @throws CheckpointError also, of `onlyFinite`, for an element that is NaN or infinite
   */
  async readInto(name: string, offset: number, out: Uint8Array): Promise<void> {
    const place = this.place(name);
    await place.file.readInto(place.name, offset, out);
    if (this.finite) checkPart(this.folder, name, this.info(name), offset, out);
  }

  /** Closes all files. */
  async close(): Promise<void> {
    await Promise.all(this.files.map((file) => file.close()));
  }

  private place(name: string): Place {
    const place = this.places.get(name);
    if (place === undefined)
      throw new CheckpointError(`${this.folder}: expected a tensor "${name}" but received a model without it`);
    return place;
  }
}

async function readWeightMap(index: string): Promise<ReadonlyMap<string, string>> {
  const text = await readText(index, inputLimits.json).catch((cause: unknown) => {
    throw new CheckpointError(`${index}: expected JSON but received ${unusable(cause)}`, { cause });
  });
  const parsed = parseJsonOf(text, index, CheckpointError);
  const map = (parsed as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw new CheckpointError(
      `${index}: weight_map: expected an object of tensor names and files but received ${show(map)}`,
    );
  }
  for (const [name, file] of Object.entries(map)) {
    // A path would let an index reach outside its folder.
    if (typeof file !== "string" || file !== basename(file)) {
      throw new CheckpointError(
        `${index}: weight_map[${show(name)}]: expected the name of a file in the folder but received ${show(file)}`,
      );
    }
  }
  return new Map(Object.entries(map as Record<string, string>));
}

/** The element type of a parameter. @throws CheckpointError naming a tensor that is missing, misshapen or no float */
export function parameterDtype(tensors: CheckpointTensors, { name, shape }: Omit<Parameter, "kind">): FloatDtype {
  if (!tensors.has(name)) {
    const expected = `"${name}" of shape [${shape.join(", ")}]`;
    const similar = similarName(tensors.names(), name);
    const received = similar === null ? "a model without it" : `a model with "${similar}" instead`;
    throw new CheckpointError(`${tensors.folder}: expected a tensor ${expected} but received ${received}`);
  }
  const { dtype, shape: found } = tensors.info(name);
  if (found.join() !== shape.join()) {
    throw new CheckpointError(
      `${tensors.folder}: ${name}: expected shape [${shape.join(", ")}], as config.json has it, ` +
        `but received [${found.join(", ")}]`,
    );
  }
  if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") {
    throw new CheckpointError(`${tensors.folder}: ${name}: expected F32, F16 or BF16 but received ${dtype}`);
  }
  return dtype;
}
