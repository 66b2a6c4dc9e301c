/** Whether token shards are what the files beside them say, and belong together. */
import { basename, dirname, join } from "node:path";
import { DataError } from "../errors.js";
import { type DataFolder, readDataFolder } from "./data_folder.js";
import { isWild, type TokenDataset } from "./dataset.js";
import { describeTokenizer, isSameTokenizer, type KnownTokenizer } from "./known_tokenizer.js";
import { DATASET_JSON } from "./outfolder.js";
import type { ShardInfo } from "./split.js";

/** A shard, as it can be told from another. */
export interface ShardIdentity {
  readonly file: string;
  readonly tokens: number;
  /** SHA-256 of the file, in hex; null: no dataset.json has it. */
  readonly sha256: string | null;
}

/** Data whose shards have been checked against the files beside them. */
export interface IdentifiedData {
  readonly folders: readonly DataFolder[];
  /** The tokenizer of all of it; null: unknown. */
  readonly tokenizer: KnownTokenizer | null;
  /** The end-of-text token of the first folder that names one. */
  readonly endOfText: string | null;
  /** The shards of each dataset, in order. */
  readonly shards: readonly (readonly ShardIdentity[])[];
}

/**
 * Reads dataset.json and tokenizer.json beside the shards of datasets, and checks the shards' names, sizes and counts.
 * @param log called once for each folder without a dataset.json: its shards are taken as they are
 * @throws DataError for shards that are not what their dataset.json says, that are missing, or that are of another
 *   tokenizer than the rest
 */
export async function identifyData(
  datasets: readonly TokenDataset[],
  log: (message: string) => void,
): Promise<IdentifiedData> {
  const folders = new Map<string, DataFolder>();
  const shards: ShardIdentity[][] = [];
  for (const dataset of datasets) {
    for (const { path } of dataset.shards) {
      const name = dirname(path);
      if (folders.has(name)) continue;
      const folder = await readDataFolder(name);
      folders.set(name, folder);
      if (folder.info === null) log(`${name}: has no ${DATASET_JSON}: its token shards are taken as they are`);
    }
    shards.push(dataset.shards.map((shard) => identify(shard, folders.get(dirname(shard.path))!)));
    for (const folder of folders.values()) checkComplete(dataset, folder);
  }
  const all = [...folders.values()];
  return {
    folders: all,
    tokenizer: commonTokenizer(all.flatMap(({ tokenizer }) => tokenizer ?? [])),
    endOfText: all.map(({ info }) => info?.endOfText).find((token) => token !== undefined) ?? null,
    shards,
  };
}

/** Checks that ids of the data are in a model's vocabulary. @throws DataError */
export function checkVocabulary({ tokenizer }: IdentifiedData, vocabulary: number): void {
  if (tokenizer === null || tokenizer.vocabSize <= vocabulary) return;
  throw new DataError(
    `${tokenizer.path}: expected data of at most the model's ${vocabulary} tokens (vocab_size) but received data of a ` +
      `vocabulary of ${tokenizer.vocabSize}`,
  );
}

/** Checks that a model's tokenizer is that of the data. Null is unknown. @throws DataError */
export function checkTokenizer({ tokenizer }: IdentifiedData, model: KnownTokenizer | null): void {
  if (tokenizer === null || model === null || isSameTokenizer(tokenizer, model)) return;
  throw new DataError(
    `${model.path}: expected the tokenizer of the data, ${describeTokenizer(tokenizer)}, ` +
      `but received ${describeTokenizer(model)}`,
  );
}

function identify(shard: { path: string; tokenCount: number; bytes: number }, folder: DataFolder): ShardIdentity {
  const file = basename(shard.path);
  const listed = folder.info?.shards;
  if (listed === undefined) return { file, tokens: shard.tokenCount, sha256: null };
  const path = join(folder.folder, DATASET_JSON);
  const found: ShardInfo | undefined = listed.find((info) => info.file === file);
  if (found === undefined) {
    throw new DataError(`${shard.path}: expected a shard that ${path} lists but received one that it does not`);
  }
  if (found.tokens !== shard.tokenCount || found.bytes !== shard.bytes) {
    throw new DataError(
      `${shard.path}: expected ${found.tokens} tokens in ${found.bytes} bytes, as ${path} says, ` +
        `but received ${shard.tokenCount} tokens in ${shard.bytes}`,
    );
  }
  return { file, tokens: found.tokens, sha256: found.sha256 };
}

/** A pattern stands for a whole split. */
function checkComplete(dataset: TokenDataset, { folder, info }: DataFolder): void {
  if (info?.shards === undefined) return;
  const there = new Set(
    dataset.shards.filter(({ path }) => dirname(path) === folder).map(({ path }) => basename(path)),
  );
  const splits = new Set([...there].map((file) => file.split("_")[0]));
  const wild = dataset.patterns.filter((pattern) => isWild(pattern) && dirname(pattern) === folder);
  if (wild.length === 0) return;
  const missing = info.shards.find(({ file }) => splits.has(file.split("_")[0]) && !there.has(file));
  if (missing === undefined) return;
  throw new DataError(
    `${wild[0]}: expected every shard of its split that ${join(folder, DATASET_JSON)} lists but received none named ` +
      missing.file,
  );
}

function commonTokenizer(tokenizers: readonly KnownTokenizer[]): KnownTokenizer | null {
  const [first, ...rest] = tokenizers;
  const other = rest.find((tokenizer) => !isSameTokenizer(tokenizer, first!));
  if (other !== undefined) {
    throw new DataError(
      `${other.path}: expected data of one tokenizer, ${describeTokenizer(first!)}, ` +
        `but received some of ${describeTokenizer(other)}`,
    );
  }
  // The one whose content is known can be compared with more.
  return tokenizers.find(({ content }) => content !== null) ?? first ?? null;
}
