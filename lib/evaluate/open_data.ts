/** What functions that read blocks of token shards have in common: their options, and how the data is opened. */
import type { Arguments } from "../arguments.js";
import { tokensPerByte } from "../data/bits_per_byte.js";
import { checkPatterns, type ShardPattern, TokenDataset } from "../data/dataset.js";
import { checkData, checkTokenizer, identifyData } from "../data/identity.js";
import { knownTokenizer } from "../data/known_tokenizer.js";
import { verifyData } from "../data/verify_data.js";
import { DataError } from "../errors.js";
import { checkModel, type Llama } from "../nn/llama.js";

/** What is read, and in which blocks. */
export interface DataOptions {
  /**
   * Token shards: a file, a pattern, or a list of them or of shards in another format; or a dataset, which stays open.
   */
  readonly data: string | readonly string[] | readonly ShardPattern[] | TokenDataset;
  /** K: tokens per position, at least 1. Default 1. */
  readonly patchSize?: number;
  /** T: positions of a block, up to the model's context. Default: the model's context, at most 1024. */
  readonly sequenceLength?: number;
  /**
   * Read every byte of the data first, and compare it with the hashes in `dataset.json`, or where there are none, check
   * that every token is in the model's vocabulary. Default false: sizes and counts are compared.
   */
  readonly verifyData?: boolean;
  /** Called with messages for the user: what is not known of the data. */
  readonly log?: (message: string) => void;
  /** Called with the number of blocks done and the total. */
  readonly onProgress?: (blocks: number, of: number) => void;
  /** Ends the work after the pass that is being computed; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * The options with their defaults, before anything is opened.
 * @param least the fewest positions of a block
 * @param more keys of options that the caller checks
 */
export function checkDataOptions(
  check: Arguments,
  model: Llama,
  options: DataOptions,
  least: number,
  more: readonly string[] = [],
) {
  checkModel(check, model);
  const context = model.config.max_position_embeddings;
  const {
    data,
    patchSize = 1,
    sequenceLength = Math.min(1024, context),
    verifyData = false,
    log = () => undefined,
    onProgress,
    signal,
  } = check.options("options", options, [
    "data",
    "patchSize",
    "sequenceLength",
    "verifyData",
    "log",
    "onProgress",
    "signal",
    ...more,
  ]);
  if (isDataset(data)) check.instance("data", data, TokenDataset);
  else checkPatterns(check, "data", data);
  check.wholeNumber("patchSize", patchSize, 1);
  const fits = (length: number) => Number.isSafeInteger(length) && length >= least && length <= context;
  const expected = `a whole number from ${least} to the model's context of ${context}`;
  check.number("sequenceLength", sequenceLength, expected, fits);
  check.boolean("verifyData", verifyData);
  check.callback("log", log);
  check.callback("onProgress", onProgress);
  check.signal("signal", signal);
  return { data, patchSize, sequenceLength, verifyData, log, onProgress, signal };
}

/** Opened shards, which are closed unless the caller has opened them. */
export interface OpenData extends AsyncDisposable {
  readonly dataset: TokenDataset;
  /** Of their text; null: unknown. */
  readonly tokensPerByte: number | null;
  /** The tokens that separate its documents; none: unknown. */
  readonly ends: ReadonlySet<number>;
}

/**
 * Opens token shards that a model is to read.
 * @throws DataError if the data cannot be read, is not what the files beside it say, or is of another tokenizer or a
 *   larger vocabulary than the model
 */
export async function openData(
  model: Llama,
  { data, verifyData: verifies, log }: Pick<ReturnType<typeof checkDataOptions>, "data" | "verifyData" | "log">,
): Promise<OpenData> {
  const own = isDataset(data) ? null : await TokenDataset.open(data);
  const dataset = own ?? (data as TokenDataset);
  const close = async () => own?.close();
  try {
    const identity = await identifyData([dataset], log);
    if (model.folder !== null) checkTokenizer(identity, await knownTokenizer(model.folder));
    checkData(identity, model.config.vocab_size);
    if (verifies) await verifyData([dataset], identity, model.config.vocab_size, log);
    const ends = new Set(identity.folders.flatMap(({ info }) => info?.endOfTextId ?? []));
    if (identity.given !== null) ends.add(identity.given.endOfTextId);
    const perByte = tokensPerByte(dataset, identity.folders);
    return { dataset, tokensPerByte: perByte, ends, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

function isDataset(data: DataOptions["data"]): data is TokenDataset {
  return typeof data === "object" && data !== null && !Array.isArray(data);
}

/** How many whole blocks of K * T tokens there are. @throws DataError if there is none */
export function wholeBlocks({ shards, tokenCount }: TokenDataset, patchSize: number, sequenceLength: number): number {
  const blocks = Math.floor(tokenCount / (patchSize * sequenceLength));
  if (blocks > 0) return blocks;
  throw new DataError(
    `${shards[0]!.path}: expected at least one block of ${patchSize} x ${sequenceLength} tokens ` +
      `but received ${tokenCount} tokens`,
  );
}

/** The error of blocks whose loss mask leaves nothing to compute a loss of. */
export function noLabels({ shards }: TokenDataset, blocks: number): DataError {
  return new DataError(
    `${shards[0]!.path}: expected a label that counts in ${blocks} blocks but received a loss mask that leaves out all ` +
      "of them",
  );
}
