/**
 * Bits per byte of text: a loss that models of different tokenizers can be compared by. A loss per token is that of
 * tokens * loss / (bytes * ln 2) bits per byte; how many tokens a byte takes follows from what `dataset.json` counts.
 */
import { basename, dirname } from "node:path";
import type { DataFolder } from "./data_folder.js";
import type { TokenDataset } from "./dataset.js";
import type { SplitName } from "./split.js";

/** @param loss in nats per token @param tokensPerByte of the text that it was computed on */
export function bitsPerByte(loss: number, tokensPerByte: number): number {
  return (loss * tokensPerByte) / Math.LN2;
}

/**
 * Tokens per byte of a dataset's text; null if no dataset.json beside its shards says it, if it was made of ids, or if the
 * loss is not one of the whole text, as a loss mask leaves tokens out.
 * @param folders those of its shards
 */
export function tokensPerByte(dataset: TokenDataset, folders: readonly DataFolder[]): number | null {
  const { shards, tokenCount, masked, memory } = dataset;
  if (masked) return null;
  if (memory !== null) return memory.bytes && tokenCount / memory.bytes;
  const byName = new Map(folders.map((each) => [each.folder, each]));
  let bytes = 0;
  for (const { path, tokenCount: tokens, format } of shards) {
    const share = format === "llmc" ? ofSplit(byName.get(dirname(path)), basename(path)) : null;
    if (share === null) return null;
    bytes += tokens / share;
  }
  return tokenCount / bytes;
}

/** Tokens per byte of the split that a shard is of. */
function ofSplit(folder: DataFolder | undefined, file: string): number | null {
  const split = /^(train|val)_\d+\.bin$/.exec(file)?.[1] as SplitName | undefined;
  const { tokens, bytes, heldOut } = folder?.info ?? {};
  if (split === undefined || tokens === undefined || bytes === undefined) return null;
  // Where a document is divided, its bytes are counted as a whole.
  const share =
    heldOut === "tail" ? (tokens.train + tokens.val) / (bytes.train + bytes.val) : tokens[split] / bytes[split];
  return Number.isFinite(share) && share > 0 ? share : null;
}
