/** What the folder of token shards says about them. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { show } from "../arguments.js";
import { inputLimits } from "../disk/input_limits.js";
import { parseJsonOf } from "../disk/json.js";
import { readText } from "../disk/read_text.js";
import { DataError, unusable } from "../errors.js";
import type { DatasetInfo } from "./dataset_info.js";
import { type KnownTokenizer, knownTokenizer } from "./known_tokenizer.js";
import type { MaskInfo } from "./loss_mask.js";
import { DATASET_JSON, UNFINISHED } from "./outfolder.js";
import type { ShardInfo } from "./split.js";

/** A folder of token shards. */
export interface DataFolder {
  readonly folder: string;
  /** Its dataset.json, of which an earlier version may have written less; null: it has none. */
  readonly info: Partial<DatasetInfo> | null;
  /** The tokenizer that its dataset.json names, or else the one in it; null: neither is there. */
  readonly tokenizer: KnownTokenizer | null;
}

/**
 * Reads what a folder says about its shards.
 * @throws DataError if dataset.json is damaged, or `prepare` was interrupted while it replaced the folder's files
 */
export async function readDataFolder(folder: string): Promise<DataFolder> {
  const path = join(folder, DATASET_JSON);
  const info = await readInfo(path);
  if (info === null && existsSync(join(folder, UNFINISHED))) {
    throw new DataError(
      `${folder}: expected token shards but received those of a prepare that was interrupted; run it again`,
    );
  }
  const found = await knownTokenizer(folder);
  const { tokenizerSha256: sha256, vocabSize } = info ?? {};
  // The shards are of the tokenizer that dataset.json names, whatever lies beside them by now.
  if (sha256 === undefined || vocabSize === undefined || found?.sha256 === sha256)
    return { folder, info, tokenizer: found };
  return { folder, info, tokenizer: { path, sha256, content: null, vocabSize } };
}

async function readInfo(path: string): Promise<Partial<DatasetInfo> | null> {
  let text: string;
  try {
    text = await readText(path, inputLimits.json);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new DataError(`${path}: expected a dataset's JSON but received ${unusable(cause)}`, { cause });
  }
  const json = parseJsonOf(text, path, DataError);
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new DataError(`${path}: expected an object but received ${show(json)}`);
  }
  const { vocabSize, tokenizerSha256, endOfText, tokens, bytes, shards, part } = json as Record<string, unknown>;
  if (part !== undefined) {
    throw new DataError(
      `${path}: expected a whole dataset but received a part of one; join the parts: prepare --merge`,
    );
  }
  const wrong = (key: string, expected: string, value: unknown): never => {
    throw new DataError(`${path}: ${key}: expected ${expected} but received ${show(value)}`);
  };
  if (vocabSize !== undefined && !Number.isSafeInteger(vocabSize)) wrong("vocabSize", "a whole number", vocabSize);
  for (const [key, value] of Object.entries({ tokenizerSha256, endOfText })) {
    if (value !== undefined && typeof value !== "string") wrong(key, "a string", value);
  }
  for (const [key, value] of Object.entries({ tokens, bytes })) {
    if (value !== undefined && !isCount(value)) wrong(key, "whole numbers for train and val", value);
  }
  if (shards !== undefined && !(Array.isArray(shards) && shards.every(isShard))) {
    wrong("shards", "a list of shards, each with file, tokens, bytes and sha256,", shards);
  }
  return json as Partial<DatasetInfo>;
}

function isCount(value: unknown): boolean {
  const { train, val } = (value ?? {}) as Record<string, unknown>;
  return Number.isSafeInteger(train) && Number.isSafeInteger(val);
}

function isShard(value: unknown): value is ShardInfo {
  const { tokens, mask } = (value ?? {}) as Record<string, unknown>;
  return isListedFile(value) && Number.isSafeInteger(tokens) && (mask === undefined || isMask(mask));
}

function isMask(value: unknown): value is MaskInfo {
  return isListedFile(value) && Number.isSafeInteger((value as Partial<MaskInfo>).labels);
}

function isListedFile(value: unknown): boolean {
  const { file, bytes, sha256 } = (value ?? {}) as Record<string, unknown>;
  return typeof file === "string" && Number.isSafeInteger(bytes) && typeof sha256 === "string";
}
