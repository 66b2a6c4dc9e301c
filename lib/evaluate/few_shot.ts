import { show } from "../arguments.js";
import { DataError } from "../errors.js";
import { formOf, type ScoreItem } from "./items.js";
import type { TextPair } from "./text_encoder.js";

/** Examples that each item is scored behind. */
export interface Shots {
  /** How many of the item's task. */
  readonly count: number;
  /** Where they are taken from: the first of the same task. One without a task is of every task. */
  readonly items: readonly ScoreItem[];
  /** The name of `items` in errors. */
  readonly name?: string;
}

/** What separates examples, and the last of them from the item. */
const separator = "\n\n";

/**
 * The text before the items of each task.
 * @throws DataError if a task has fewer examples than asked for
 */
export function shotTexts(items: readonly ScoreItem[], shots: Shots | undefined): Map<string | undefined, string> {
  const tasks = new Set(items.map(({ task }) => task));
  const { count, items: examples, name = "shots" } = shots ?? { count: 0, items: [] };
  const texts = new Map<string | undefined, string>();
  for (const task of tasks) {
    const chosen = examples.filter((item) => item.task === undefined || item.task === task).slice(0, count);
    if (chosen.length < count) {
      const of = task === undefined ? "without a task" : `of the task ${show(task)}`;
      throw new DataError(`${name}: expected ${count} items ${of} but received ${chosen.length}`);
    }
    texts.set(task, chosen.map((item) => solved(item) + separator).join(""));
  }
  return texts;
}

/** An item with its right answer. */
function solved(item: ScoreItem): string {
  const pairs = pairsOf(item, "");
  const { context, continuation } = pairs["gold" in item ? item.gold : 0]!;
  return context + continuation;
}

/** What an item asks the log-likelihoods of. */
export function pairsOf(item: ScoreItem, before: string): TextPair[] {
  if ("choices" in item) return item.choices.map((choice) => ({ context: before + item.query, continuation: choice }));
  const { continuation } = item;
  const contexts = "contexts" in item ? item.contexts : [item.query];
  return contexts.map((context) => ({ context: before + context, continuation }));
}

/**
 * @param name the task of items without one
 * @throws DataError if a task has items of different forms
 */
export function checkForms(items: readonly ScoreItem[], name: string, nameOf: (index: number) => string): void {
  const forms = new Map<string, string>();
  for (const [index, item] of items.entries()) {
    const form = formOf(item);
    const task = item.task ?? name;
    const before = forms.get(task);
    if (before !== undefined && before !== form) {
      throw new DataError(`${nameOf(index)}: expected "${before}", as in the items before it, but received "${form}"`);
    }
    forms.set(task, form);
  }
}
