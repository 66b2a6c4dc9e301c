/**
 * The files of a model's weights, as transformers writes them: `model.safetensors`, or if that would be too large,
 * `model-00001-of-0000N.safetensors` and `model.safetensors.index.json`, which says what is where.
 */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type FileDigest, writeHashed } from "../disk/hashed_file.js";
import { byteSize } from "./dtypes.js";
import { type SafetensorsEntry, writeSafetensors } from "./safetensors.js";

export const singleFile = "model.safetensors";
export const indexFile = "model.safetensors.index.json";

const anyWeightFile = /^model(-\d{5}-of-\d{5})?\.safetensors$|^model\.safetensors\.index\.json$/;

/** Whether a file of that name belongs to a model's weights. */
export function isWeightFile(name: string): boolean {
  return anyWeightFile.test(name);
}

/** The most bytes of tensors in a file, unless one tensor has more: huggingface_hub's. */
export const SHARD_BYTES = 5e9;

const sizeOf = ({ dtype, shape }: SafetensorsEntry) => byteSize(dtype, shape);

/**
 * Which tensors go into which file: in order, as many as fit (huggingface_hub, serialization/_base.py). A tensor that is
 * larger than a file may be has one of its own.
 */
export function shardsOf(entries: readonly SafetensorsEntry[], most: number): SafetensorsEntry[][] {
  const shards: SafetensorsEntry[][] = [];
  let current: SafetensorsEntry[] = [];
  let size = 0;
  for (const entry of entries) {
    const bytes = sizeOf(entry);
    if (bytes > most) {
      shards.push([entry]);
      continue;
    }
    if (size + bytes > most) {
      shards.push(current);
      current = [];
      size = 0;
    }
    current.push(entry);
    size += bytes;
  }
  if (current.length > 0) shards.push(current);
  return shards;
}

/**
 * Writes a model's weights into a folder, and removes those that were there before. Every file is synced.
 * @returns the size and hash of each file, by its name
 * @throws CheckpointError as `writeSafetensors`
 */
export async function writeWeights(
  folder: string,
  entries: readonly SafetensorsEntry[],
  most: number = SHARD_BYTES,
): Promise<ReadonlyMap<string, FileDigest>> {
  const shards = shardsOf(entries, most);
  const number = (index: number) => String(index).padStart(5, "0");
  const names =
    shards.length === 1
      ? [singleFile]
      : shards.map((_, index) => `model-${number(index + 1)}-of-${number(shards.length)}.safetensors`);
  const written = new Map<string, FileDigest>();
  for (const [index, shard] of shards.entries()) {
    const name = names[index]!;
    written.set(name, await writeSafetensors(join(folder, name), shard, { format: "pt" }));
  }
  if (shards.length > 1) {
    const total = entries.reduce((sum, entry) => sum + sizeOf(entry), 0);
    const placed = shards.flatMap((shard, index) => shard.map(({ name }) => [name, names[index]!] as const));
    const index = {
      metadata: { total_size: total },
      weight_map: Object.fromEntries(placed.sort(([a], [b]) => (a < b ? -1 : 1))),
    };
    written.set(indexFile, await writeHashed(join(folder, indexFile), `${JSON.stringify(index, null, 2)}\n`));
  }
  // A reader takes the single file first: one that stayed would hide the new ones.
  for (const name of await readdir(folder)) {
    if (isWeightFile(name) && !written.has(name)) await rm(join(folder, name));
  }
  return written;
}
