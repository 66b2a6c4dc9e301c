/** The data of a run: opened, checked against the files beside it, and recorded in the run's folder. */
import { join } from "node:path";
import { z } from "zod";
import type { RunConfig } from "../config/config.js";
import { entriesOf, givenName, isMix, patternsOf } from "../config/data_entries.js";
import { describeIssues } from "../config/problems.js";
import { TokenDataset } from "../data/dataset.js";
import { type IdentifiedData, identifyData, type ShardIdentity } from "../data/identity.js";
import type { BlockLoaderOptions } from "../data/loader.js";
import { countsAny } from "../data/loss_mask.js";
import { writeText } from "../disk/durable.js";
import { inputLimits } from "../disk/input_limits.js";
import { parseJsonOf } from "../disk/json.js";
import { readText } from "../disk/read_text.js";
import { DataError, unusable } from "../errors.js";
import { checkGiven, type GivenDatasets } from "./given_datasets.js";

/** The open data of a run. */
export interface RunData {
  /** What it is trained on. */
  readonly train: BlockLoaderOptions["dataset"];
  readonly trainingTokens: number;
  /** Whether some of them do not count in the loss. */
  readonly masked: boolean;
  /** Null: the run evaluates nothing. */
  readonly val: TokenDataset | null;
  /** All of it: for training, then for validation. */
  readonly datasets: readonly TokenDataset[];
  /** Those that the run has opened, and closes. */
  readonly opened: readonly TokenDataset[];
  readonly identity: IdentifiedData;
}

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, { error: "expected a SHA-256 in hexadecimal" });
const shards = z.array(
  z.strictObject({
    file: z.string(),
    tokens: z.int().min(0),
    sha256: sha256.nullable(),
    mask: sha256.nullable().optional(),
  }),
);

/** What a run's `data.json` has: the data that it began with. */
const recordSchema = z.strictObject({
  /** SHA-256 of the tokenizer.json; null: unknown. */
  tokenizer: sha256.nullable(),
  train: shards,
  val: shards,
});

/**
 * Opens the shards of a config.
 * @param given the datasets that it names by `dataset:NAME`
 * @throws ConfigError if one of them is not given, or another
 * @throws DataError if they are missing or damaged, or do not belong together
 */
export async function openRunData(
  config: RunConfig,
  log: (message: string) => void = () => undefined,
  given: GivenDatasets = {},
): Promise<RunData> {
  const { train, val } = config.data;
  const parts = isMix(train) ? entriesOf(train).map((entry) => [entry]) : [entriesOf(train)];
  const held = config.eval !== null && val !== undefined ? [entriesOf(val)] : [];
  checkGiven(config, given);
  const datasets: TokenDataset[] = [];
  const opened: TokenDataset[] = [];
  try {
    for (const entries of [...parts, ...held]) {
      const name = givenName(entries[0]!.path);
      const dataset = name === null ? await TokenDataset.open(patternsOf(entries)) : given[name]!;
      datasets.push(dataset);
      if (name === null) opened.push(dataset);
    }
    const trained = datasets.slice(0, parts.length);
    const val = datasets[parts.length] ?? null;
    const data = {
      train: isMix(train)
        ? trained.map((dataset, index) => ({ dataset, weight: parts[index]![0]!.weight! }))
        : trained[0]!,
      trainingTokens: trained.reduce((sum, { tokenCount }) => sum + tokenCount, 0),
      masked: trained.some(({ masked }) => masked),
      val,
      datasets,
      opened,
      identity: await identifyData(datasets, log),
    };
    for (const dataset of trained) await checkCounts(dataset);
    const masked = maskedData(data);
    if (masked.length > 0) log(`loss mask in ${masked.join(" and ")}: losses are means over the labels that count`);
    return data;
  } catch (error) {
    await Promise.all(opened.map((dataset) => dataset.close()));
    throw error;
  }
}

/** @throws DataError if a loss mask leaves nothing to train on */
async function checkCounts(dataset: TokenDataset): Promise<void> {
  if (!dataset.masked || (await countsAny(dataset.shards))) return;
  const { path } = dataset.shards[0]!;
  throw new DataError(
    `${path}: expected a token that counts in the loss but received a loss mask that marks all of them`,
  );
}

/** Which data of a run has a loss mask, by the config's keys. */
export function maskedData({ masked, val }: Pick<RunData, "masked" | "val">): string[] {
  return [...(masked ? ["data.train"] : []), ...(val?.masked ? ["data.val"] : [])];
}

/** Closes what a run has opened of its data. */
export async function closeRunData({ opened }: RunData): Promise<void> {
  await Promise.all(opened.map((dataset) => dataset.close()));
}

const recordPath = (folder: string): string => join(folder, "data.json");

/** Records the data that a run begins with. */
export async function recordRunData(folder: string, data: RunData): Promise<void> {
  const recorded: z.input<typeof recordSchema> = {
    tokenizer: data.identity.tokenizer?.sha256 ?? null,
    ...shardsOf(data),
  };
  await writeText(recordPath(folder), `${JSON.stringify(recorded, null, 2)}\n`);
}

/** The shards of a run's data. */
export interface RunShards {
  readonly train: ShardIdentity[];
  readonly val: ShardIdentity[];
}

export function shardsOf({ identity, val }: RunData): RunShards {
  const trained = val === null ? identity.shards : identity.shards.slice(0, -1);
  return { train: trained.flat(), val: val === null ? [] : [...identity.shards.at(-1)!] };
}

/**
 * Checks that a run goes on with the data that it began with, wherever that is by now. What nobody has recorded is not
 * compared, and that is said.
 * @throws DataError naming what differs
 */
export async function checkRunData(folder: string, data: RunData, log: (message: string) => void): Promise<void> {
  const path = recordPath(folder);
  const text = await readRecord(path);
  if (text === null) {
    log(`${path} is not there: the data is not compared with that which the run began with`);
    return;
  }
  const recorded = parseRecord(text, path);
  const { tokenizer } = data.identity;
  const now = shardsOf(data);
  if (recorded.tokenizer !== null && tokenizer !== null && recorded.tokenizer !== tokenizer.sha256) {
    throw new DataError(
      `${tokenizer.path}: expected the tokenizer that the run began with (SHA-256 ${short(recorded.tokenizer)}, ` +
        `in ${path}) but received another (${short(tokenizer.sha256)})`,
    );
  }
  const trained = data.val === null ? data.datasets : data.datasets.slice(0, -1);
  compareShards(trained, recorded.train, now.train, path);
  if (data.val !== null && recorded.val.length > 0) compareShards([data.val], recorded.val, now.val, path);
}

/**
 * Checks that all ranks of a run have the same data: each opens its own, which may be on its machine's disk or in its memory.
 * @param ofRanks in the ranks' order
 * @throws DataError naming the first rank that differs from rank 0, and how
 */
export function checkSameData(ofRanks: readonly RunShards[]): void {
  const first = ofRanks[0]!;
  for (const [rank, own] of ofRanks.entries()) {
    for (const split of ["train", "val"] as const) {
      const [expected, received] = [first[split], own[split]];
      for (let index = 0; index < Math.max(expected.length, received.length); index++) {
        const [one, other] = [expected[index], received[index]];
        if (one !== undefined && other !== undefined && isSameShard(one, other)) continue;
        const [of, came] = [one, other].map((shard) => (shard === undefined ? "no more" : words(shard)));
        throw new DataError(
          `data.${split}: expected the same shards on all ranks, as ${of} on rank 0, but received ${came} on rank ${rank}`,
        );
      }
    }
  }
}

async function readRecord(path: string): Promise<string | null> {
  return readText(path, inputLimits.json).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return null;
    throw new DataError(`${path}: expected the run's data but received ${unusable(cause)}`, { cause });
  });
}

function parseRecord(text: string, path: string): z.output<typeof recordSchema> {
  const json = parseJsonOf(text, path, DataError);
  const result = recordSchema.safeParse(json, { reportInput: true });
  if (result.success) return result.data;
  throw new DataError(`${path}: ${describeIssues(result.error.issues, recordSchema).join("; ")}`);
}

/** The record of a run's data, which its checkpoints keep a copy of; null: it has none. */
export async function readRunData(folder: string): Promise<string | null> {
  return readRecord(recordPath(folder));
}

/** Where a checkpoint has its copy. */
export const DATA_COPY = "trainer/data.json";

/** Restores the record of a run's data from a checkpoint's copy, if it is another, or gone. */
export async function restoreRunData(
  folder: string,
  checkpoint: string,
  log: (message: string) => void,
): Promise<void> {
  const copy = await readRecord(join(checkpoint, DATA_COPY));
  const path = recordPath(folder);
  if (copy === null || copy === (await readRecord(path))) return;
  log(`${path} is not what the checkpoint has: restoring it from ${join(checkpoint, DATA_COPY)}`);
  await writeText(path, copy);
}

function compareShards(
  datasets: readonly TokenDataset[],
  before: readonly ShardIdentity[],
  now: readonly ShardIdentity[],
  path: string,
): void {
  if (before.length !== now.length) {
    throw new DataError(
      `${datasets.flatMap(({ patterns }) => patterns).join(", ")}: expected the ${before.length} shards that the run began with (${path}) ` +
        `but received ${now.length}`,
    );
  }
  for (const [index, began] of before.entries()) {
    const found = now[index]!;
    if (isSameShard(began, found)) continue;
    throw new DataError(
      `${datasets.flatMap(({ shards }) => shards)[index]!.path}: expected the shard that the run began with, ${words(began)} ` +
        `(${path}), but received ${words(found)}`,
    );
  }
}

/** Hashes that are not known are not compared. */
function isSameShard(a: ShardIdentity, b: ShardIdentity): boolean {
  const same = (one: string | null, other: string | null) => one === null || other === null || one === other;
  return (
    a.file === b.file &&
    a.tokens === b.tokens &&
    same(a.sha256, b.sha256) &&
    (a.mask === undefined) === (b.mask === undefined) &&
    same(a.mask ?? null, b.mask ?? null)
  );
}

function words({ file, tokens, sha256, mask }: ShardIdentity): string {
  const hash = (value: string | null): string => (value === null ? "" : `, SHA-256 ${short(value)}`);
  const masked = mask === undefined ? "" : `, with a loss mask${hash(mask)}`;
  return `${file} of ${tokens} tokens${hash(sha256)}${masked}`;
}

const short = (sha256: string): string => `${sha256.slice(0, 12)}…`;
