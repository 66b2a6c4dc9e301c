/** Writes a GGUF file under a temporary name, syncs and renames it: a reader finds the complete old or new file. */
import { randomBytes } from "node:crypto";
import { open, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { makeFolder } from "../disk/durable.js";
import { CheckpointError, ConfigError, unusable } from "../errors.js";
import { aligned, encodeGgufHead, type GgufMetadata, ggufTensorBytes } from "./format.js";
import type { GgufTensor } from "./tensors.js";

/** Throws ConfigError unless `file` can take a model: it does not exist, or is an earlier GGUF file. */
export async function checkGgufTarget(file: string): Promise<void> {
  const expected = "a new file, or an earlier GGUF file to replace,";
  const found = await stat(file).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return null;
    throw new ConfigError(`${file}: expected ${expected} but received ${unusable(cause)}`, { cause });
  });
  if (found === null) return;
  if (!found.isFile()) throw new ConfigError(`${file}: expected ${expected} but received a folder or a device`);
  const handle = await open(file, "r");
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0).finally(() => handle.close());
  if (buffer.toString("latin1", 0, bytesRead) === "GGUF") return;
  throw new ConfigError(`${file}: expected ${expected} but received another file`);
}

/**
 * Writes tensors piece by piece, and returns the file's size in bytes. On failure nothing new is left.
 * @param onProgress called after every tensor with the bytes written and the total
 */
export async function writeGguf(
  file: string,
  metadata: GgufMetadata,
  tensors: readonly GgufTensor[],
  onProgress?: (bytes: number, totalBytes: number) => void,
  signal?: AbortSignal,
): Promise<number> {
  const target = await realpath(file).catch(() => resolve(file)); // a link to a file stays a link
  const aside = join(dirname(target), `.${basename(target)}.${randomBytes(4).toString("hex")}`);
  const head = encodeGgufHead(metadata, tensors);
  const total = tensors.reduce((sum, tensor) => sum + aligned(ggufTensorBytes(tensor)), head.byteLength);
  await makeFolder(dirname(target));
  const handle = await open(aside, "wx");
  try {
    await handle.writeFile(head);
    let written = head.byteLength;
    for (const tensor of tensors) {
      signal?.throwIfAborted();
      let received = 0;
      for await (const piece of tensor.data()) {
        signal?.throwIfAborted();
        await handle.writeFile(piece);
        received += piece.byteLength;
      }
      const expected = ggufTensorBytes(tensor);
      if (received !== expected) {
        throw new CheckpointError(`${file}: ${tensor.name}: expected ${expected} bytes but received ${received}`);
      }
      await handle.writeFile(new Uint8Array(aligned(expected) - expected));
      written += aligned(expected);
      onProgress?.(written, total);
    }
    await handle.sync();
    await handle.close();
    await checkGgufTarget(target);
    await rename(aside, target);
  } catch (error) {
    await handle.close();
    await rm(aside, { force: true });
    throw error;
  }
  await syncFolder(dirname(target));
  return total;
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, "r");
  await handle.sync();
  await handle.close();
}
