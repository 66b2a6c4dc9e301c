/** Whether token shards are what the files beside them say, and belong together. */
import { basename, dirname, join } from "node:path";
import { DataError } from "../errors.js";
import { type DataFolder, readDataFolder } from "./data_folder.js";
import { isWild, type TokenDataset } from "./dataset.js";
import { describeTokenizer, isSameTokenizer, type KnownTokenizer, knownOf } from "./known_tokenizer.js";
import { maskPath } from "./loss_mask.js";
import { DATASET_JSON } from "./outfolder.js";
import type { Shard } from "./shard.js";
import type { Tokenizer } from "./tokenizer.js";

/** A shard, as it can be told from another. */
export interface ShardIdentity {
  readonly file: string;
  readonly tokens: number;
  /** SHA-256 of the file, in hex; null: no dataset.json has it. */
  readonly sha256: string | null;
  /** SHA-256 of its loss mask, likewise; absent: it has none. */
  readonly mask?: string | null;
}

/** Data whose shards have been checked against the files beside them. */
export interface IdentifiedData {
  readonly folders: readonly DataFolder[];
  /** The tokenizer of all of it; null: unknown. */
  readonly tokenizer: KnownTokenizer | null;
  /** That of the first data in memory that has one. */
  readonly given: Tokenizer | null;
  /** The end-of-text token of the first folder that names one, or of `given`. */
  readonly endOfText: string | null;
  /** The shards of each dataset, in order. */
  readonly shards: readonly (readonly ShardIdentity[])[];
  /** The first shard that is not what its dataset.json says, or is missing. `checkData` throws it. */
  readonly problem: DataError | null;
}

/**
 * Reads dataset.json and tokenizer.json beside the shards of datasets, and compares the shards' names, sizes and counts.
 * @param log called once for each folder without a dataset.json: its shards are taken as they are
 * @throws DataError for shards of another tokenizer than the rest, or of an interrupted `prepare`
 */
export async function identifyData(
  datasets: readonly TokenDataset[],
  log: (message: string) => void,
): Promise<IdentifiedData> {
  const folders = new Map<string, DataFolder>();
  const shards: ShardIdentity[][] = [];
  const problems: DataError[] = [];
  const given = datasets.flatMap(({ memory }) => (memory?.tokenizer ? [{ memory, tokenizer: memory.tokenizer }] : []));
  for (const dataset of datasets) {
    const { memory } = dataset;
    if (memory !== null) {
      const { shard, sha256, maskSha256 } = memory;
      const mask = maskSha256 === null ? {} : { mask: maskSha256 };
      shards.push([{ file: shard.path, tokens: shard.tokenCount, sha256, ...mask }]);
      continue;
    }
    for (const { path } of dataset.shards) {
      const name = dirname(path);
      if (folders.has(name)) continue;
      const folder = await readDataFolder(name);
      folders.set(name, folder);
      if (folder.info === null) log(`${name}: has no ${DATASET_JSON}: its token shards are taken as they are`);
    }
    shards.push(dataset.shards.map((shard) => identify(shard, folders.get(dirname(shard.path))!, problems)));
    for (const folder of folders.values()) problems.push(...missing(dataset, folder));
  }
  const all = [...folders.values()];
  return {
    folders: all,
    tokenizer: commonTokenizer([
      ...all.flatMap(({ tokenizer }) => tokenizer ?? []),
      ...given.map(({ memory, tokenizer }) => knownOf(tokenizer, memory.shard.path)),
    ]),
    given: given[0]?.tokenizer ?? null,
    endOfText:
      all.map(({ info }) => info?.endOfText).find((token) => token !== undefined) ??
      given[0]?.tokenizer.endOfText ??
      null,
    shards,
    problem: problems[0] ?? null,
  };
}

/**
 * Checks that ids of the data are in a model's vocabulary, and that its shards are what the files beside them say.
 * @throws DataError
 */
export function checkData({ tokenizer, problem }: IdentifiedData, vocabulary: number): void {
  if (tokenizer !== null && tokenizer.vocabSize > vocabulary) {
    throw new DataError(
      `${tokenizer.path}: expected data of at most the model's ${vocabulary} tokens (vocab_size) but received data of a ` +
        `vocabulary of ${tokenizer.vocabSize}`,
    );
  }
  if (problem !== null) throw problem;
}

/** Checks that a model's tokenizer is that of the data. Null is unknown. @throws DataError */
export function checkTokenizer({ tokenizer }: IdentifiedData, model: KnownTokenizer | null): void {
  if (tokenizer === null || model === null || isSameTokenizer(tokenizer, model)) return;
  throw new DataError(
    `${model.path}: expected the tokenizer of the data, ${describeTokenizer(tokenizer)}, ` +
      `but received ${describeTokenizer(model)}`,
  );
}

function identify(
  { path, format, tokenCount: tokens, bytes, mask }: Shard,
  { folder, info }: DataFolder,
  problems: DataError[],
): ShardIdentity {
  const file = basename(path);
  if (info?.shards === undefined || format !== "llmc") {
    return { file, tokens, sha256: null, ...(mask && { mask: null }) };
  }
  const listed = info.shards.find((other) => other.file === file);
  const list = join(folder, DATASET_JSON);
  if (listed === undefined) {
    problems.push(new DataError(`${path}: expected a shard that ${list} lists but received one that it does not`));
  } else if (listed.tokens !== tokens || listed.bytes !== bytes) {
    problems.push(
      new DataError(
        `${path}: expected ${listed.tokens} tokens in ${listed.bytes} bytes, as ${list} says, ` +
          `but received ${tokens} tokens in ${bytes}`,
      ),
    );
  } else if ((listed.mask !== undefined) !== (mask !== null)) {
    const [expected, received] = mask === null ? ["a", "no such file"] : ["no", "one"];
    problems.push(
      new DataError(`${maskPath(path)}: expected ${expected} loss mask, as ${list} says, but received ${received}`),
    );
  }
  return { file, tokens, sha256: listed?.sha256 ?? null, ...(mask && { mask: listed?.mask?.sha256 ?? null }) };
}

/** A pattern stands for a whole split: what of it is missing. */
function missing({ shards, patterns }: TokenDataset, { folder, info }: DataFolder): DataError[] {
  const wild = patterns.find((pattern) => isWild(pattern) && dirname(pattern) === folder);
  if (info?.shards === undefined || wild === undefined) return [];
  const there = new Set(shards.filter(({ path }) => dirname(path) === folder).map(({ path }) => basename(path)));
  const split = (file: string): string => file.split("_")[0]!;
  const splits = new Set([...there].map(split));
  const lost = info.shards.filter(({ file }) => splits.has(split(file)) && !there.has(file));
  return lost
    .slice(0, 1)
    .map(
      ({ file }) =>
        new DataError(
          `${wild}: expected every shard of its split that ${join(folder, DATASET_JSON)} lists ` +
            `but received none named ${file}`,
        ),
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
