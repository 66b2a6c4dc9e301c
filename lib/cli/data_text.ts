/** What `nextpatch info --data` shows of a folder or of token shards. */
import { statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type DataFolder, readDataFolder } from "../data/data_folder.js";
import { TokenDataset } from "../data/dataset.js";
import { identifyData } from "../data/identity.js";
import { Tokenizer } from "../data/tokenizer.js";
import { DataError } from "../errors.js";
import { plural } from "../report/format.js";

/** Documents shown. */
const SHOWN = 3;

/** Tokens of the beginning that are decoded, and characters of a document that are shown. */
const TOKENS = 2000;
const CHARACTERS = 300;

/** A split as `info --data --json` has it. */
interface SplitReport {
  readonly shards: number;
  readonly tokens: number;
  /** Tokens that count in the loss; null: not known, as a loss mask lies beside shards without a dataset.json. */
  readonly labels: number | null;
  readonly documents: number | null;
  readonly bytes: number | null;
  readonly tokensPerDocument: number | null;
  readonly bytesPerToken: number | null;
}

export interface DataReport {
  readonly folder: string;
  /** Whether it has a dataset.json. */
  readonly prepared: boolean;
  readonly splits: Readonly<Record<string, SplitReport>>;
  readonly dtype: "uint16" | "uint32";
  readonly tokenizer: {
    readonly sha256: string;
    readonly vocabSize: number;
    readonly model: string | null;
    readonly endOfText: string | null;
  } | null;
  readonly info: DataFolder["info"];
  /** The first documents of the first split, separators included; null without a tokenizer.json. */
  readonly beginning: readonly string[] | null;
}

/**
 * Reads what a folder of token shards holds.
 * @param path the folder, or a shard or pattern in it
 * @throws DataError if there are no whole token shards
 */
export async function dataReport(path: string): Promise<DataReport> {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  const folder = isFolder ? path : dirname(path);
  const { info } = await readDataFolder(folder);
  const splits: Record<string, SplitReport> = {};
  const known = await identified(isFolder ? await patternsIn(folder) : { shards: path }, splits, info);
  const tokenizer = await openTokenizer(folder, info?.endOfText);
  const model = tokenizer && ((JSON.parse(tokenizer.json) as { model?: { type?: string } }).model?.type ?? null);
  return {
    folder,
    prepared: info !== null,
    splits,
    dtype: known.bytesPerToken === 2 ? "uint16" : "uint32",
    tokenizer: known.tokenizer && {
      sha256: known.tokenizer.sha256,
      vocabSize: known.tokenizer.vocabSize,
      model,
      endOfText: info?.endOfText ?? tokenizer?.endOfText ?? null,
    },
    info,
    beginning: tokenizer && (await beginning(known.first, tokenizer)),
  };
}

/** The patterns of the splits in a folder, by their names. */
async function patternsIn(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".bin"));
  const splits = [...new Set(names.map((name) => /^(.+)_\d+\.bin$/.exec(name)?.[1] ?? ""))].filter(
    (name) => name !== "",
  );
  if (splits.length === 0) throw new DataError(`${folder}: expected token shards (NAME_000000.bin) but received none`);
  const order = (name: string): number => ["train", "val"].indexOf(name) + 1 || 3;
  splits.sort((a, b) => order(a) - order(b) || (a < b ? -1 : 1));
  return Object.fromEntries(splits.map((split) => [split, join(folder, `${split}_*.bin`)]));
}

/** Fills `splits`, and returns the beginning of the first. */
async function identified(
  patterns: Readonly<Record<string, string>>,
  splits: Record<string, SplitReport>,
  info: DataFolder["info"],
) {
  const opened: TokenDataset[] = [];
  try {
    for (const pattern of Object.values(patterns)) opened.push(await TokenDataset.open(pattern));
    const { tokenizer, problem } = await identifyData(opened, () => undefined);
    if (problem !== null) throw problem;
    for (const [index, name] of Object.keys(patterns).entries()) splits[name] = report(name, opened[index]!, info);
    const first = new Int32Array(Math.min(TOKENS, opened[0]!.tokenCount));
    await opened[0]!.read(0, first);
    return { tokenizer, first, bytesPerToken: opened[0]!.shards[0]!.bytesPerToken };
  } finally {
    await Promise.all(opened.map((dataset) => dataset.close()));
  }
}

function report(name: string, dataset: TokenDataset, info: DataFolder["info"]): SplitReport {
  const { shards, tokenCount: tokens } = dataset;
  const of = (counts: Readonly<Record<string, number>> | undefined): number | null => counts?.[name] ?? null;
  const [documents, bytes] = [of(info?.documents), of(info?.bytes)];
  const ratio = (a: number | null, b: number | null): number | null => (a === null || !b ? null : a / b);
  return {
    shards: shards.length,
    tokens,
    labels: labelsOf(dataset, info),
    documents,
    bytes,
    tokensPerDocument: ratio(tokens, documents),
    bytesPerToken: ratio(bytes, tokens),
  };
}

/** Null: not known. */
function labelsOf({ masked, shards, tokenCount }: TokenDataset, info: DataFolder["info"]): number | null {
  if (!masked) return tokenCount;
  const listed = new Map(info?.shards?.map((shard) => [shard.file, shard]));
  const counts = shards.map(({ path, mask, tokenCount: tokens }) =>
    mask === null ? tokens : listed.get(basename(path))?.mask?.labels,
  );
  return counts.reduce<number | null>((sum, count) => (sum === null || count === undefined ? null : sum + count), 0);
}

/** Null: there is none. */
async function openTokenizer(folder: string, endOfText: string | undefined): Promise<Tokenizer | null> {
  const path = join(folder, "tokenizer.json");
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return null;
  return Tokenizer.fromFile(path, endOfText === undefined ? {} : { endOfText });
}

/** The first documents, each with its separator. */
async function beginning(tokens: Int32Array, tokenizer: Tokenizer): Promise<string[]> {
  const separator = tokenizer.endOfTextId;
  const starts = [...tokens.keys()].filter((at) => at === 0 || tokens[at] === separator);
  const ends = [...starts.slice(1), tokens.length];
  const shown: string[] = [];
  for (const [index, start] of starts.slice(0, SHOWN).entries()) {
    const text = await tokenizer.decode(tokens.subarray(start, ends[index]), { keepSpecialTokens: true });
    const cut = text.length > CHARACTERS || ends[index] === tokens.length;
    shown.push(cut ? `${text.slice(0, CHARACTERS)}…` : text);
  }
  return shown;
}

/** The report as text. */
export function dataText({ folder, prepared, splits, dtype, tokenizer, info, beginning: texts }: DataReport): string {
  const count = (value: number): string => value.toLocaleString("en");
  const lines = [`${folder}: ${dtype} tokens${prepared ? "" : ", without a dataset.json"}`];
  for (const [name, split] of Object.entries(splits)) {
    const { shards, tokens, labels, documents, tokensPerDocument, bytesPerToken } = split;
    const masked = labels === null ? "a loss mask says which count" : `${count(labels)} count in the loss`;
    const parts = [
      `${count(tokens)} tokens in ${count(shards)} ${plural(shards, "shard")}`,
      ...(labels === tokens ? [] : [masked]),
      ...(documents === null ? [] : [`${count(documents)} ${plural(documents, "document")}`]),
      ...(tokensPerDocument === null ? [] : [`${tokensPerDocument.toFixed(1)} tokens a document`]),
      ...(bytesPerToken === null ? [] : [`${bytesPerToken.toFixed(2)} bytes a token`]),
    ];
    lines.push(`  ${name}: ${parts.join(", ")}`);
  }
  lines.push(
    tokenizer === null
      ? "  tokenizer: unknown"
      : `  tokenizer: ${tokenizer.model ?? "not there"}, ${count(tokenizer.vocabSize)} tokens, ` +
          `end of text ${tokenizer.endOfText ?? "unknown"}, SHA-256 ${tokenizer.sha256.slice(0, 12)}…`,
  );
  const { passedOver, duplicates, heldOut, sources } = info ?? {};
  if (heldOut !== undefined) lines.push(`  held out: ${heldOut}`);
  if (passedOver && passedOver.null + passedOver.empty > 0) {
    lines.push(`  records without a text: ${count(passedOver.null)} null, ${count(passedOver.empty)} empty`);
  }
  if (duplicates) lines.push(`  duplicates dropped: ${count(duplicates)}`);
  if (sources)
    lines.push(`  sources: ${count(sources.length)}, ${count(sources.reduce((sum, s) => sum + s.bytes, 0))} bytes`);
  for (const text of texts ?? []) lines.push(`  ${JSON.stringify(text)}`);
  return lines.join("\n");
}
