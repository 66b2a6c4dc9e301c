/** Joins the parts of a dataset (part.ts). */
import { realpath } from "node:fs/promises";
import { join } from "node:path";
import { Arguments } from "../../arguments.js";
import { inputLimits } from "../../disk/input_limits.js";
import { readText } from "../../disk/read_text.js";
import { ConfigError, DataError } from "../../errors.js";
import { type DatasetInfo, writeInfo } from "../dataset_info.js";
import { checkOutFolder, writeFolderAside } from "../outfolder.js";
import type { SplitName } from "../split.js";
import { bytesPerToken } from "../token_width.js";
import { readCompanion, TOKENIZER_COMPANIONS, TOKENIZER_JSON } from "../tokenizer_files.js";
import { isHeldOut } from "./held_out.js";
import type { PrepareProgress } from "./options.js";
import { checkPartFiles, partDocuments } from "./part_documents.js";
import { checkParts, type Part, readPart } from "./part_info.js";
import { type SplitInfo, Splits } from "./splits.js";
import { writeTokenizer } from "./tokenizer_copy.js";

/** What `mergeParts` joins, and where. */
export interface MergeOptions {
  /** The folders of all parts, in any order. */
  parts: readonly string[];
  /** The dataset's folder, as of `prepareDataset`; not one of the parts. */
  out: string;
  /** Called now and then, with the phase `encode`; bytes are those of the parts' shards. */
  onProgress?: (progress: PrepareProgress) => void;
  signal?: AbortSignal;
}

/**
 * Joins the parts of a dataset into what `prepareDataset` would have written: the same bytes in every file. Each part's
 * files are read once, and compared with the hashes that the part has of them.
 * @throws TypeError for a wrong option; ConfigError for `out` as `prepareDataset`; DataError for parts that are damaged,
 *   missing, or not of one dataset
 *
 * @example
 * ```ts
 * import { mergeParts, preparePart } from "nextpatch";
 *
 * const options = { files: ["text.txt", "more.txt"], tokenizerPath: "data/mine/tokenizer.json" };
 * const parts = ["parts/1", "parts/2"];
 * for (const [i, out] of parts.entries()) await preparePart({ ...options, out }, { index: i + 1, of: parts.length });
 * const { tokens } = await mergeParts({ parts, out: "data/merged" });
 * console.log(tokens.train, tokens.val);
 * ```
 */
export async function mergeParts(options: MergeOptions): Promise<DatasetInfo> {
  const check = new Arguments("mergeParts");
  const {
    parts: folders,
    out,
    onProgress,
    signal,
  } = check.options("options", options, ["parts", "out", "onProgress", "signal"]);
  check.paths("parts", folders, 1);
  check.path("out", out);
  check.callback("onProgress", onProgress);
  check.signal("signal", signal);
  const parts: Part[] = [];
  for (const folder of folders) parts.push(await readPart(folder));
  parts.sort((a, b) => a.info.part.index - b.info.part.index);
  checkParts(parts);
  for (const part of parts) await checkPartFiles(part);
  for (const part of parts) await checkCompanions(parts[0]!, part);
  await checkOutFolder(out);
  await checkOutIsNoPart(out, parts);
  return writeFolderAside(out, async (staging) => {
    const { info, folder } = parts[0]!;
    const sources = parts.flatMap((part) => part.info.sources.slice(...part.info.own));
    const named = (split?: "val") => sources.filter((source) => source.split === split).map(({ file }) => file);
    const splits = new Splits(staging, bytesPerToken(info), { ...info, files: named(), val: named("val") });
    let split: SplitInfo;
    try {
      await copyDocuments(parts, splits, { onProgress, signal });
      split = await splits.finish();
    } catch (error) {
      await splits.abort();
      throw error;
    }
    const { tokens, documents, bytes, heldOut, shards } = split;
    const { vocabSize, endOfTextId, endOfText, dtype, valFraction, tokenizerSha256 } = info;
    const whole: DatasetInfo = {
      vocabSize,
      endOfTextId,
      endOfText,
      dtype,
      tokens,
      documents,
      bytes,
      passedOver: passedOver(parts),
      duplicates: 0,
      heldOut,
      valFraction,
      tokenizerSha256,
      shards,
      sources,
    };
    const tokenizer = join(folder, TOKENIZER_JSON);
    await writeTokenizer(staging, await readText(tokenizer, inputLimits.tokenizer), tokenizer);
    await writeInfo(staging, whole);
    return whole;
  });
}

/** Gives the documents of all parts to the splits, as if they had just been encoded. */
async function copyDocuments(
  parts: readonly Part[],
  splits: Splits,
  { onProgress, signal }: Pick<MergeOptions, "onProgress" | "signal">,
): Promise<void> {
  const { valFraction } = parts[0]!.info;
  const totalBytes = parts.flatMap(({ info }) => info.shards).reduce((sum, { bytes }) => sum + bytes, 0);
  let bytes = 0;
  const progress = (): void => {
    const { tokenCount: tokens, documentCount: documents } = splits;
    onProgress?.({ phase: "encode", bytes, totalBytes, documents, tokens });
  };
  const onBytes = (read: number): void => {
    signal?.throwIfAborted();
    bytes += read;
    progress();
  };
  let count = 0;
  let split: SplitName = "train";
  for (const part of parts) {
    for await (const piece of partDocuments(part, onBytes)) {
      if (!piece.continues) {
        split = piece.split === "train" && isHeldOut(count, valFraction) ? "val" : piece.split;
        if (piece.split === "train") count++;
      }
      await splits.add(split, piece.continues, piece.ids, piece.mask, piece.bytes);
    }
  }
  progress();
}

function passedOver(parts: readonly Part[]): DatasetInfo["passedOver"] {
  const total = { null: 0, empty: 0 };
  for (const { info } of parts) {
    total.null += info.passedOver.null;
    total.empty += info.passedOver.empty;
  }
  return total;
}

/** Checks that a part has the same files beside its tokenizer as the first. */
async function checkCompanions(first: Part, part: Part): Promise<void> {
  for (const name of TOKENIZER_COMPANIONS) {
    const [expected, received] = await Promise.all(
      [first, part].map(({ folder }) => readCompanion(join(folder, TOKENIZER_JSON), name)),
    );
    if (expected === null ? received === null : received?.equals(expected!)) continue;
    const what = expected === null ? "no such file" : "the same file";
    const came = received === null ? "none" : "another";
    throw new DataError(`${join(part.folder, name)}: expected ${what} as in ${first.folder} but received ${came}`);
  }
}

/** A part that the dataset replaces would be gone if the last steps were cut off. */
async function checkOutIsNoPart(out: string, parts: readonly Part[]): Promise<void> {
  const path = await realpath(out).catch(() => undefined);
  for (const { folder } of parts) {
    if ((await realpath(folder)) !== path) continue;
    throw new ConfigError(`${out}: expected a folder for the dataset but received that of a part`);
  }
}
