/** Joins the parts of a dataset (part.ts). */
import { open, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { Arguments, show } from "../../arguments.js";
import { DataError, unusable } from "../../errors.js";
import { TokenDataset } from "../dataset.js";
import { bytesPerToken, type DatasetInfo, writeInfo } from "../dataset_info.js";
import { hashFile } from "../hash_file.js";
import { checkOutFolder, DATASET_JSON, PART_LENGTHS, writeFolderAside } from "../outfolder.js";
import { TOKENIZER_JSON } from "../tokenizer_files.js";
import { isHeldOut } from "./held_out.js";
import { LengthReader } from "./lengths.js";
import type { PrepareProgress } from "./options.js";
import type { PartInfo } from "./part.js";
import { Splits } from "./splits.js";
import { writeTokenizer } from "./tokenizer_copy.js";

/** Tokens copied at a time. */
const COPY = 1 << 20;

/** What `mergeParts` joins, and where. */
export interface MergeOptions {
  /** The folders of all parts, in any order. */
  parts: readonly string[];
  /** The dataset's folder, as of `prepareDataset`. */
  out: string;
  /** Called now and then, with the phase `encode`; bytes are those of the parts' shards. */
  onProgress?: (progress: PrepareProgress) => void;
  signal?: AbortSignal;
}

/**
 * Joins the parts of a dataset into what `prepareDataset` would have written: the same bytes in every file.
 * @throws TypeError for a wrong option; ConfigError for `out` as `prepareDataset`; DataError for parts that are damaged,
 *   missing, or not of one dataset
 */
export async function mergeParts(options: MergeOptions): Promise<DatasetInfo> {
  const check = new Arguments("mergeParts");
  const { parts: folders, out, onProgress, signal } = check.object("options", options);
  check.strings("parts", folders, 1);
  check.string("out", out);
  check.callback("onProgress", onProgress);
  check.signal("signal", signal);
  const parts: { folder: string; info: PartInfo }[] = [];
  for (const folder of folders) parts.push({ folder, info: await readPart(folder) });
  parts.sort((a, b) => a.info.part.index - b.info.part.index);
  checkParts(parts);
  await checkOutFolder(out);
  return writeFolderAside(out, async (staging) => {
    const { info: first, folder } = parts[0]!;
    const sources = first.sources.map((_, index) => {
      const { info } = parts.find((part) => index >= part.info.own[0] && index < part.info.own[1])!;
      return info.sources[index]!;
    });
    const named = (split?: "val") => sources.filter((source) => source.split === split).map(({ file }) => file);
    const splits = new Splits(staging, bytesPerToken(first), { ...first, files: named(), val: named("val") });
    try {
      const totalBytes = parts.flatMap(({ info }) => info.shards).reduce((sum, { bytes }) => sum + bytes, 0);
      let [bytes, index] = [0, 0];
      for (const part of parts) {
        for await (const piece of partDocuments(part.folder, part.info)) {
          signal?.throwIfAborted();
          const isVal = piece.split === "val" || isHeldOut(piece.continues ? index - 1 : index, first.valFraction);
          if (!piece.continues && piece.split !== "val") index++;
          await splits.add(isVal ? "val" : "train", piece.continues, piece.ids, piece.bytes);
          bytes += piece.ids.length * bytesPerToken(first);
          const { tokenCount: tokens, documentCount: documents } = splits;
          onProgress?.({ phase: "encode", bytes: Math.min(bytes, totalBytes), totalBytes, documents, tokens });
        }
      }
      const { tokens, documents, bytes: text, heldOut, shards } = await splits.finish();
      const passedOver = { null: 0, empty: 0 };
      for (const { info } of parts) {
        for (const reason of ["null", "empty"] as const) passedOver[reason] += info.passedOver[reason];
      }
      const { vocabSize, endOfTextId, endOfText, dtype, valFraction, tokenizerSha256 } = first;
      const info: DatasetInfo = {
        vocabSize,
        endOfTextId,
        endOfText,
        dtype,
        tokens,
        documents,
        bytes: text,
        passedOver,
        duplicates: 0,
        heldOut,
        valFraction,
        tokenizerSha256,
        shards,
        sources,
      };
      const tokenizer = join(folder, TOKENIZER_JSON);
      await writeTokenizer(staging, await readFile(tokenizer, "utf8"), tokenizer);
      await writeInfo(staging, info);
      return info;
    } catch (error) {
      await splits.abort();
      throw error;
    }
  });
}

async function readPart(folder: string): Promise<PartInfo> {
  const path = join(folder, DATASET_JSON);
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new DataError(`${path}: expected a part of a dataset but received ${unusable(cause)}`, { cause });
  });
  let info: PartInfo;
  try {
    info = JSON.parse(text) as PartInfo;
  } catch (cause) {
    throw new DataError(`${path}: expected JSON but received other text: ${(cause as Error).message}`, { cause });
  }
  if (info?.part === undefined) {
    throw new DataError(`${path}: expected a part of a dataset (prepare --part) but received a whole one`);
  }
  return info;
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
] as const satisfies readonly (keyof PartInfo)[];

/** Checks that these are all parts of one dataset, in order. */
function checkParts(parts: readonly { folder: string; info: PartInfo }[]): void {
  const { folder, info } = parts[0]!;
  const { of } = info.part;
  for (const { folder: other, info: its } of parts) {
    const differs = (what: string, expected: unknown, received: unknown): never => {
      throw new DataError(
        `${other}: ${what}: expected that of ${folder}, ${show(expected)}, but received ${show(received)}`,
      );
    };
    if (its.part.of !== of) differs("the number of parts", of, its.part.of);
    for (const key of COMMON) if (its[key] !== info[key]) differs(key, info[key], its[key]);
    if (its.sources.length !== info.sources.length) differs("sources", info.sources.length, its.sources.length);
    for (const [index, { file, bytes, split }] of info.sources.entries()) {
      const source = its.sources[index]!;
      if (basename(source.file) === basename(file) && source.bytes === bytes && source.split === split) continue;
      differs(`sources[${index}]`, `${file} of ${bytes} bytes`, `${source.file} of ${source.bytes} bytes`);
    }
  }
  const numbers = parts.map(({ info: { part } }) => part.index);
  for (let number = 1; number <= of; number++) {
    const count = numbers.filter((other) => other === number).length;
    if (count === 1) continue;
    throw new DataError(
      `expected each of ${of} parts once but received part ${number} ${count === 0 ? "never" : `${count} times`}`,
    );
  }
}

interface PartPiece {
  readonly split: "train" | "val";
  readonly continues: boolean;
  readonly ids: Uint32Array;
  readonly bytes: number;
}

/** The documents of a part, in order, the long ones in pieces. @throws DataError if a file is not what the part says */
async function* partDocuments(folder: string, info: PartInfo): AsyncGenerator<PartPiece> {
  for (const { file, sha256 } of info.shards) await checkHash(join(folder, file), sha256);
  const lengthsPath = join(folder, PART_LENGTHS);
  await checkHash(lengthsPath, info.lengthsSha256);
  if (info.documents === 0) return;
  await using tokens = await TokenDataset.open(info.shards.map(({ file }) => join(folder, file)));
  await using lengths = new LengthReader(await open(lengthsPath, "r"));
  const buffer = { start: 0, ids: new Uint32Array(0) };
  let position = 0;
  for (const { documents, split = "train" } of info.sources.slice(...info.own)) {
    for (let document = 0; document < documents; document++) {
      const { tokens: length, bytes } = await lengths.next();
      for (let done = 0; done < length; ) {
        if (position === buffer.start + buffer.ids.length) {
          const read = new Int32Array(Math.min(COPY, tokens.tokenCount - position));
          await tokens.read(position, read);
          [buffer.start, buffer.ids] = [position, new Uint32Array(read.buffer)];
        }
        const at = position - buffer.start;
        const ids = buffer.ids.subarray(at, at + length - done);
        yield { split, continues: done > 0, ids, bytes: done > 0 ? 0 : bytes };
        done += ids.length;
        position += ids.length;
      }
    }
  }
}

async function checkHash(path: string, sha256: string): Promise<void> {
  const found = await hashFile(path).catch((cause: unknown) => {
    throw new DataError(`${path}: expected a file of the part but received ${unusable(cause)}`, { cause });
  });
  if (found === sha256) return;
  throw new DataError(`${path}: expected a file of SHA-256 ${sha256}, as ${DATASET_JSON} says, but received ${found}`);
}
