/** What a task's log-likelihoods say, by the formulas of lm-evaluation-harness. */
import { formOf, type ScoreItem } from "./items.js";
import type { LogLikelihood } from "./request.js";

/** The scores of a task of `choices` or `contexts`. */
export interface ChoiceScores {
  readonly items: number;
  /** The share of items whose likeliest choice is the right one. */
  readonly acc: number;
  /** Standard error of the mean; null for a single item. */
  readonly acc_stderr: number | null;
  /** As `acc`, with log-likelihoods divided by characters. */
  readonly acc_norm: number;
  readonly acc_norm_stderr: number | null;
  /** As `acc`, with log-likelihoods divided by bytes of UTF-8. */
  readonly acc_bytes: number;
}

/** The scores of a task of `continuation`. */
export interface ContinuationScores {
  readonly items: number;
  /** The share of items whose continuation is the likeliest, token by token. */
  readonly acc: number;
  readonly acc_stderr: number | null;
  /** e to the power of the negative mean log-likelihood of a continuation. */
  readonly perplexity: number;
}

/** The scores of a task. */
export type TaskScores = ChoiceScores | ContinuationScores;

/** @param answers those of each item's choices, contexts or continuation */
export function taskScores(items: readonly ScoreItem[], answers: readonly (readonly LogLikelihood[])[]): TaskScores {
  const count = items.length;
  if (formOf(items[0]!) === "continuation") {
    const hits = answers.map(([answer]) => answer!.greedy);
    const sum = answers.reduce((total, [answer]) => total + answer!.sum, 0);
    return { items: count, acc: share(hits), acc_stderr: standardError(hits), perplexity: Math.exp(-sum / count) };
  }
  const hits = (measure: (text: string) => number) =>
    items.map((item, i) => {
      const { gold, texts } = choicesOf(item);
      return likeliest(answers[i]!.map(({ sum }, choice) => sum / measure(texts[choice]!))) === gold;
    });
  const [plain, characters, bytes] = [hits(() => 1), hits((text) => [...text].length), hits(Buffer.byteLength)];
  return {
    items: count,
    acc: share(plain),
    acc_stderr: standardError(plain),
    acc_norm: share(characters),
    acc_norm_stderr: standardError(characters),
    acc_bytes: share(bytes),
  };
}

/** The texts that log-likelihoods are divided by the lengths of: choices without the space that leads to them. */
function choicesOf(item: ScoreItem): { gold: number; texts: readonly string[] } {
  if ("choices" in item) return { gold: item.gold, texts: item.choices.map((text) => text.replace(/^ /, "")) };
  if ("contexts" in item) return { gold: item.gold, texts: item.contexts };
  throw new TypeError("choicesOf: item: expected one with choices or contexts but received a continuation");
}

/** The index of the largest value, the first of several. */
function likeliest(values: readonly number[]): number {
  return values.reduce((best, value, index) => (value > values[best]! ? index : best), 0);
}

function share(hits: readonly boolean[]): number {
  return hits.filter(Boolean).length / hits.length;
}

function standardError(hits: readonly boolean[]): number | null {
  const count = hits.length;
  const mean = share(hits);
  return count === 1 ? null : Math.sqrt((mean * (1 - mean)) / (count - 1));
}
