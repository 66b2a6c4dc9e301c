/** Places of held-out text in a seeded order: the same for every model that is tested on the same data. */
import { Permutation } from "../data/permutation.js";
import type { Llama } from "../nn/llama.js";
import { type checkDataOptions, openData } from "./open_data.js";

/** Tokens that follow each other in one document. */
export interface Window {
  readonly tokens: Int32Array;
  /** Documents are numbered in their order. */
  readonly document: number;
}

/** The most tokens that are looked at, from the start of the data. */
const most = 2 ** 22;

export interface WindowOptions {
  /** Tokens of a window. */
  readonly length: number;
  readonly seed: number;
}

/**
 * Windows that do not overlap. None crosses the end of a document, unless no document is long enough for one, or what ends a
 * document is not known.
 * @param checked what `checkDataOptions` returns
 * @returns in an order that the seed decides; none if the data is shorter than a window
 * @throws DataError as `openData`, and for a token outside the vocabulary
 */
export async function heldOutWindows(
  model: Llama,
  checked: ReturnType<typeof checkDataOptions>,
  { length, seed }: WindowOptions,
): Promise<Window[]> {
  await using opened = await openData(model, checked);
  const { dataset, ends } = opened;
  const tokens = new Int32Array(Math.min(most, dataset.tokenCount));
  await dataset.read(0, tokens);
  dataset.checkVocabulary(tokens, 0, model.config.vocab_size);
  const within = windowsOf(tokens, length, ends);
  const all = within.length > 0 ? within : windowsOf(tokens, length, new Set());
  if (all.length === 0) return [];
  const order = new Permutation(all.length, seed);
  return all.map((_, index) => all[order.at(index)]!);
}

function windowsOf(tokens: Int32Array, length: number, ends: ReadonlySet<number>): Window[] {
  const windows: Window[] = [];
  let document = 0;
  let start = 0;
  for (let position = 0; position < tokens.length; position++) {
    if (ends.has(tokens[position]!)) {
      document++;
      start = position + 1;
    } else if (position + 1 - start === length) {
      windows.push({ tokens: tokens.subarray(start, position + 1), document });
      start = position + 1;
    }
  }
  return windows;
}
