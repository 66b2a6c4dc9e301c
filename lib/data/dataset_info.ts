/** `dataset.json`: what a prepared folder holds. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DATASET_JSON } from "./outfolder.js";
import type { ShardInfo, SplitName } from "./split.js";
import { bytesPerToken } from "./token_width.js";
import type { Tokenizer } from "./tokenizer.js";

/** A source file, as `dataset.json` has it. */
export interface SourceInfo {
  readonly file: string;
  bytes: number;
  /** Documents that it gave; duplicates that were dropped do not count. */
  documents: number;
  /** Of `--val`: its documents are those of validation. Else absent. */
  readonly split?: "val";
}

/** The content of dataset.json. */
export interface DatasetInfo {
  /** One more than the largest token id. */
  vocabSize: number;
  /** The token before every document, unless the document begins with it. */
  endOfTextId: number;
  /** Its text. */
  endOfText: string;
  /** Of the tokens in the shards. */
  dtype: "uint16" | "uint32";
  tokens: Record<SplitName, number>;
  documents: Record<SplitName, number>;
  /** UTF-8 bytes of the documents. */
  bytes: Record<SplitName, number>;
  /** Records that gave no document, because their text is null or empty. */
  passedOver: { null: number; empty: number };
  /** Documents that were dropped because their text is that of another. */
  duplicates: number;
  /**
   * What validation holds: `documents` chosen by their index; the `last-document`, if that rule chose none; the `tail`
   * of the only document; the documents of separate `files`; or `none`.
   */
  heldOut: "documents" | "last-document" | "tail" | "files" | "none";
  valFraction: number;
  /** SHA-256 of tokenizer.json, in hex. */
  tokenizerSha256: string;
  /** The shards, those of training first, in order. */
  shards: readonly ShardInfo[];
  sources: readonly SourceInfo[];
}

/** The keys that follow from the tokenizer. */
export function vocabularyOf(
  tokenizer: Tokenizer,
): Pick<DatasetInfo, "vocabSize" | "endOfTextId" | "endOfText" | "dtype"> {
  const { vocabSize, endOfTextId, endOfText } = tokenizer;
  return { vocabSize, endOfTextId, endOfText, dtype: bytesPerToken(tokenizer) === 2 ? "uint16" : "uint32" };
}

/** Writes a folder's dataset.json. */
export async function writeInfo(folder: string, info: object): Promise<void> {
  await writeFile(join(folder, DATASET_JSON), `${JSON.stringify(info, null, 2)}\n`, { flush: true });
}
