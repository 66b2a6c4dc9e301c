/** The dataset.json of a part of a dataset. */
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { show } from "../../arguments.js";
import { inputLimits } from "../../disk/input_limits.js";
import { parseJsonOf } from "../../disk/json.js";
import { readText } from "../../disk/read_text.js";
import { DataError, unusable } from "../../errors.js";
import type { DatasetInfo, SourceInfo } from "../dataset_info.js";
import { DATASET_JSON } from "../outfolder.js";
import type { ShardInfo } from "../split.js";

/** Which part it is. */
export interface PartNumber {
  /** From 1 on. */
  readonly index: number;
  readonly of: number;
}

/** The dataset.json of a part. */
export interface PartInfo
  extends Pick<
    DatasetInfo,
    "vocabSize" | "endOfTextId" | "endOfText" | "dtype" | "passedOver" | "valFraction" | "tokenizerSha256"
  > {
  readonly part: PartNumber;
  readonly shardTokens: number;
  readonly textField: string | null;
  /** Absent: its documents have no prompts. */
  readonly promptField?: string;
  readonly tokens: number;
  readonly documents: number;
  /** UTF-8 bytes of the documents. */
  readonly bytes: number;
  readonly shards: readonly ShardInfo[];
  /** SHA-256 of the file of lengths. */
  readonly lengthsSha256: string;
  /** All sources of the dataset; `documents` is 0 in those of other parts. */
  readonly sources: readonly SourceInfo[];
  /** The sources of this part: the first, and the one behind the last. */
  readonly own: readonly [begin: number, end: number];
  /** SHA-256 of the other keys: the counts go into the joined dataset, and nothing else tells that one is wrong. */
  readonly sha256: string;
}

/** A part, and where it is. */
export interface Part {
  readonly folder: string;
  readonly info: PartInfo;
}

/** Adds the hash of what is known of a part. */
export function withHash(info: Omit<PartInfo, "sha256">): PartInfo {
  return { ...info, sha256: hashOf(info) };
}

function hashOf(info: object): string {
  return createHash("sha256").update(JSON.stringify(info)).digest("hex");
}

/** Reads a part's dataset.json. @throws DataError unless it is as `preparePart` wrote it */
export async function readPart(folder: string): Promise<Part> {
  const path = join(folder, DATASET_JSON);
  const text = await readText(path, inputLimits.json).catch((cause: unknown) => {
    throw new DataError(`${path}: expected a part of a dataset but received ${unusable(cause)}`, { cause });
  });
  const info = parseJsonOf(text, path, DataError) as PartInfo | null;
  if (info?.part === undefined) {
    throw new DataError(`${path}: expected a part of a dataset (prepare --part) but received a whole one`);
  }
  const { sha256, ...rest } = info;
  const found = hashOf(rest);
  if (found !== sha256) {
    throw new DataError(
      `${path}: expected what prepare --part wrote, of SHA-256 ${show(sha256)}, but received other content, of ${found}`,
    );
  }
  return { folder, info };
}

/** The keys that all parts of a dataset have the same. */
const COMMON = [
  "tokenizerSha256",
  "vocabSize",
  "endOfText",
  "endOfTextId",
  "dtype",
  "valFraction",
  "shardTokens",
  "textField",
  "promptField",
] as const satisfies readonly (keyof PartInfo)[];

/** Checks that these are all parts of one dataset, in order. @throws DataError that names what differs */
export function checkParts(parts: readonly Part[]): void {
  const first = parts[0]!;
  for (const part of parts) checkAlike(first, part);
  const { of } = first.info.part;
  const numbers = parts.map(({ info: { part } }) => part.index);
  for (let number = 1; number <= of; number++) {
    const count = numbers.filter((other) => other === number).length;
    if (count === 1) continue;
    throw new DataError(
      `expected each of ${of} parts once but received part ${number} ${count === 0 ? "never" : `${count} times`}`,
    );
  }
  let next = 0;
  for (const { folder, info } of parts) {
    const [begin, end] = info.own;
    if (begin !== next) {
      throw new DataError(
        `${folder}: expected files from sources[${next}] on, where the part before ends, but received those from ` +
          `sources[${begin}] on; prepare all parts with the same version`,
      );
    }
    next = end;
  }
}

function checkAlike({ folder, info }: Part, { folder: other, info: its }: Part): void {
  const differs = (what: string, expected: unknown, received: unknown): never => {
    throw new DataError(
      `${other}: ${what}: expected that of ${folder}, ${show(expected)}, but received ${show(received)}`,
    );
  };
  if (its.part.of !== info.part.of) differs("the number of parts", info.part.of, its.part.of);
  for (const key of COMMON) if (its[key] !== info[key]) differs(key, info[key], its[key]);
  if (its.sources.length !== info.sources.length) differs("sources", info.sources.length, its.sources.length);
  for (const [index, { file, bytes, split }] of info.sources.entries()) {
    const source = its.sources[index]!;
    if (basename(source.file) === basename(file) && source.bytes === bytes && source.split === split) continue;
    differs(`sources[${index}]`, `${file} of ${bytes} bytes`, `${source.file} of ${source.bytes} bytes`);
  }
}
