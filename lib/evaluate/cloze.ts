/** How often a model finds how a held-out text goes on, among continuations of other texts. */
import { Arguments } from "../arguments.js";
import type { Llama } from "../nn/llama.js";
import { type ClozeItem, clozeItems } from "./cloze_items.js";
import { heldOutWindows } from "./held_out_windows.js";
import { logLikelihoods } from "./log_likelihoods.js";
import { checkDataOptions, type DataOptions } from "./open_data.js";
import { request } from "./request.js";

/** The most items: the standard error of the accuracy is 0.016 at most. */
const mostItems = 1000;

/** Continuations of an item, one of them right. */
const choices = 4;

/** Decides which places of the text become items, and what they are to be told from. */
const seed = 1;

/** The most tokens of a context, and of a continuation. */
const lengths = { context: 48, continuation: 16 } as const;

/** The result of `cloze`. */
export interface ClozeScores {
  readonly items: number;
  /** Continuations of an item. */
  readonly choices: number;
  /** The accuracy of a guess. */
  readonly chance: number;
  /** The share of items whose right continuation has the highest log-likelihood per token. */
  readonly accuracy: number;
  /** Of the accuracy, over the items; null for a single one. */
  readonly standardError: number | null;
  /** Tokens of a context. */
  readonly contextTokens: number;
  /** Tokens of each continuation. */
  readonly continuationTokens: number;
}

/**
 * Scores a model on items made of held-out token shards. They depend on the data and `sequenceLength` alone, so models
 * of one comparison answer the same.
 * @returns null if the data is too short for an item
 * @throws TypeError or RangeError for a wrong argument; DataError as `evaluate`; DeviceError, OutOfMemoryError
 */
export async function cloze(model: Llama, options: Omit<DataOptions, "patchSize">): Promise<ClozeScores | null> {
  const checked = checkDataOptions(new Arguments("cloze"), model, options, 2);
  const { sequenceLength, onProgress } = checked;
  const continuation = Math.min(lengths.continuation, Math.ceil(sequenceLength / 4));
  const context = Math.min(lengths.context, sequenceLength - continuation);
  const length = context + continuation;
  const windows = await heldOutWindows(model, checked, { length, seed });
  const items = clozeItems(windows, { context, choices, most: mostItems });
  if (items.length === 0) return null;
  const accuracy = await accuracyOf(model, items, onProgress);
  return {
    items: items.length,
    choices,
    chance: 1 / choices,
    accuracy,
    standardError: items.length === 1 ? null : Math.sqrt((accuracy * (1 - accuracy)) / (items.length - 1)),
    contextTokens: context,
    continuationTokens: continuation,
  };
}

async function accuracyOf(
  model: Llama,
  items: readonly ClozeItem[],
  onProgress: DataOptions["onProgress"],
): Promise<number> {
  const requests = items.flatMap(({ context, choices }) =>
    choices.map((choice) => request(context, choice, model.config.max_position_embeddings)),
  );
  const answers = await logLikelihoods(model, requests, onProgress);
  // All choices are equally long: a sum compares as a mean per token does.
  const hits = items.filter(({ gold }, item) => {
    const sums = answers.slice(item * choices, (item + 1) * choices).map(({ sum }) => sum);
    return sums.every((sum, choice) => choice === gold || sum < sums[gold]!);
  });
  return hits.length / items.length;
}
