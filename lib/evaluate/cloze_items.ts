/** Cloze items: a context, how it goes on, and how other texts do. */
import type { Window } from "./held_out_windows.js";

export interface ClozeItem {
  readonly context: Int32Array;
  /** Continuations of the same number of tokens, no two alike. */
  readonly choices: readonly Int32Array[];
  /** The index of the right one. */
  readonly gold: number;
}

export interface ClozeItemOptions {
  /** Tokens of a window that are its context; the rest is its continuation. */
  readonly context: number;
  /** Continuations of an item. */
  readonly choices: number;
  /** The most items. */
  readonly most: number;
}

/**
 * Makes items of windows in random order. The wrong continuations are those of the windows that come next, of other
 * documents if there are as many documents as choices.
 * @returns fewer than `most`, or none, if there are too few windows with different continuations
 */
export function clozeItems(windows: readonly Window[], { context, choices, most }: ClozeItemOptions): ClozeItem[] {
  const documents = new Set(windows.map(({ document }) => document)).size;
  const apart = documents >= choices;
  const items: ClozeItem[] = [];
  for (const [index, window] of windows.entries()) {
    if (items.length === most) break;
    const found = [window.tokens.subarray(context)];
    for (let step = 1; step < windows.length && found.length < choices; step++) {
      const { tokens, document } = windows[(index + step) % windows.length]!;
      const continuation = tokens.subarray(context);
      if (apart && document === window.document) continue;
      if (!found.some((other) => other.every((token, i) => token === continuation[i]))) found.push(continuation);
    }
    if (found.length < choices) continue;
    const [right, ...wrong] = found;
    const gold = items.length % choices;
    items.push({
      context: window.tokens.subarray(0, context),
      choices: [...wrong.slice(0, gold), right!, ...wrong.slice(gold)],
      gold,
    });
  }
  return items;
}
