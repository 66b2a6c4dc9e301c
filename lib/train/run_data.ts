/** The data of a run: opened, checked against the files beside it, and recorded in the run's folder. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { RunConfig } from "../config/config.js";
import { TokenDataset } from "../data/dataset.js";
import { type IdentifiedData, identifyData, type ShardIdentity } from "../data/identity.js";
import { writeText } from "../disk/durable.js";
import { DataError, unusable } from "../errors.js";

/** The open data of a run. */
export interface RunData {
  readonly train: TokenDataset;
  /** Null: the run evaluates nothing. */
  readonly val: TokenDataset | null;
  readonly identity: IdentifiedData;
}

/** What a run's `data.json` has: the data that it began with. */
interface RecordedData {
  /** SHA-256 of the tokenizer.json, in hex; null: unknown. */
  readonly tokenizer: string | null;
  readonly train: readonly ShardIdentity[];
  readonly val: readonly ShardIdentity[];
}

/**
 * Opens the shards of a config.
 * @throws DataError if they are missing or damaged, or do not belong together
 */
export async function openRunData(
  config: RunConfig,
  log: (message: string) => void = () => undefined,
): Promise<RunData> {
  const opened: TokenDataset[] = [];
  try {
    const evaluates = config.eval !== null && config.data.val !== undefined;
    for (const patterns of [config.data.train, ...(evaluates ? [config.data.val!] : [])]) {
      opened.push(await TokenDataset.open(patterns));
    }
    return { train: opened[0]!, val: opened[1] ?? null, identity: await identifyData(opened, log) };
  } catch (error) {
    await Promise.all(opened.map((dataset) => dataset.close()));
    throw error;
  }
}

/** Closes a run's data. */
export async function closeRunData({ train, val }: RunData): Promise<void> {
  await train.close();
  await val?.close();
}

const recordPath = (folder: string): string => join(folder, "data.json");

/** Records the data that a run begins with. */
export async function recordRunData(folder: string, { identity }: RunData): Promise<void> {
  const [train = [], val = []] = identity.shards;
  const recorded: RecordedData = { tokenizer: identity.tokenizer?.sha256 ?? null, train, val };
  await writeText(recordPath(folder), `${JSON.stringify(recorded, null, 2)}\n`);
}

/**
 * Checks that a run goes on with the data that it began with, wherever that is by now. What nobody has recorded is not
 * compared, and that is said.
 * @throws DataError naming what differs
 */
export async function checkRunData(folder: string, data: RunData, log: (message: string) => void): Promise<void> {
  const path = recordPath(folder);
  const text = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return null;
    throw new DataError(`${path}: expected the run's data but received ${unusable(cause)}`, { cause });
  });
  if (text === null) {
    log(`${path} is not there: the data is not compared with that which the run began with`);
    return;
  }
  let recorded: RecordedData;
  try {
    recorded = JSON.parse(text) as RecordedData;
  } catch (cause) {
    throw new DataError(`${path}: expected JSON but received other text: ${(cause as Error).message}`, { cause });
  }
  const [train = [], val = []] = data.identity.shards;
  const tokenizer = data.identity.tokenizer;
  if (recorded.tokenizer !== null && tokenizer !== null && recorded.tokenizer !== tokenizer.sha256) {
    throw new DataError(
      `${tokenizer.path}: expected the tokenizer that the run began with (SHA-256 ${short(recorded.tokenizer)}, ` +
        `in ${path}) but received another (${short(tokenizer.sha256)})`,
    );
  }
  compareShards(data.train, recorded.train, train, path);
  if (data.val !== null && recorded.val.length > 0) compareShards(data.val, recorded.val, val, path);
}

function compareShards(
  dataset: TokenDataset,
  before: readonly ShardIdentity[],
  now: readonly ShardIdentity[],
  path: string,
): void {
  if (before.length !== now.length) {
    throw new DataError(
      `${dataset.patterns.join(", ")}: expected the ${before.length} shards that the run began with (${path}) ` +
        `but received ${now.length}`,
    );
  }
  for (const [index, { file, tokens, sha256 }] of before.entries()) {
    const found = now[index]!;
    const same = file === found.file && tokens === found.tokens;
    if (same && (sha256 === null || found.sha256 === null || sha256 === found.sha256)) continue;
    const words = (shard: ShardIdentity): string =>
      `${shard.file} of ${shard.tokens} tokens${shard.sha256 === null ? "" : `, SHA-256 ${short(shard.sha256)}`}`;
    throw new DataError(
      `${dataset.shards[index]!.path}: expected the shard that the run began with, ${words({ file, tokens, sha256 })} ` +
        `(${path}), but received ${words(found)}`,
    );
  }
}

const short = (sha256: string): string => `${sha256.slice(0, 12)}…`;
