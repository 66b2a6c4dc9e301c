import { Arguments, describe } from "../arguments.js";
import type { Tokenizer } from "../data/tokenizer.js";
import { DataError } from "../errors.js";
import { checkModel, checkTokenizerFits, type Llama } from "../nn/llama.js";
import { type TaskScores, taskScores } from "./accuracy.js";
import { checkForms, pairsOf, type Shots, shotTexts } from "./few_shot.js";
import { problemOf, type ScoreItem } from "./items.js";
import { logLikelihoods } from "./log_likelihoods.js";
import { type Request, request, type TokenScores, tokenScores } from "./request.js";
import { type EncodedPair, TextEncoder } from "./text_encoder.js";

/** Options of `score`. */
export interface ScoreOptions {
  /** Examples before each item. Default: none. */
  readonly shots?: Shots;
  /** The name of items without a task among the results. Default `items`. */
  readonly name?: string;
  /** The name of an item in errors. Default: `items[0]`. */
  readonly nameOf?: (index: number) => string;
  /** Whether the scores of single tokens are wanted. Default false. */
  readonly perToken?: boolean;
  /** Called with the number of tokens scored so far, and of all. */
  readonly onProgress?: (done: number, of: number) => void;
}

/** An item's log-likelihoods. */
export interface ItemScores {
  readonly index: number;
  readonly task: string;
  /** In nats, of each choice, of the continuation after each context, or of the one continuation. */
  readonly logLikelihoods: readonly number[];
  /** The index of the right one; null for a single continuation. */
  readonly gold: number | null;
  /** Of a single continuation: whether each of its tokens is the likeliest. */
  readonly greedy?: boolean;
  /** With `perToken`: the tokens that each log-likelihood is a sum over, in its place. */
  readonly tokens?: readonly TokenScores[];
}

/** The result of `score`. */
export interface ScoreResult {
  /** By name, in the order of the items. */
  readonly tasks: Readonly<Record<string, TaskScores>>;
  readonly items: readonly ItemScores[];
}

/**
 * Scores items as lm-evaluation-harness does (docs/evaluation.md).
 * @throws TypeError or RangeError for a wrong argument, such as an item of no form; DataError if a task has items of
 *   different forms or too few examples, or a continuation does not fit the model; DeviceError, OutOfMemoryError
 *
 * @example
 * ```ts
 * import { Llama, score, Tokenizer } from "nextpatch";
 *
 * using model = await Llama.load("runs/mine/model");
 * const tokenizer = await Tokenizer.fromFile("runs/mine/model/tokenizer.json");
 * const items = [{ query: "The river", choices: [" is wide", " is a bird"], gold: 0, task: "rivers" }];
 * const { tasks, items: scored } = await score(model, tokenizer, items);
 * console.log(tasks.rivers!, scored[0]!.logLikelihoods);
 * ```
 */
export async function score(
  model: Llama,
  tokenizer: Tokenizer,
  items: readonly ScoreItem[],
  options: ScoreOptions = {},
): Promise<ScoreResult> {
  const { shots, name, nameOf, perToken, onProgress } = checked(model, tokenizer, items, options);
  const before = shotTexts(items, shots);
  const pairs = items.map((item) => pairsOf(item, before.get(item.task)!));
  const encoder = await TextEncoder.of(tokenizer, model.folder);
  const encoded = (await encoder.pairs(pairs.flat()))[Symbol.iterator]();
  const length = model.config.max_position_embeddings;
  const requests = pairs.map((own, index) => own.map(() => requestOf(encoded.next().value!, length, nameOf(index))));
  const answers = (await logLikelihoods(model, requests.flat(), onProgress))[Symbol.iterator]();
  const byItem = pairs.map((own) => own.map(() => answers.next().value!));
  const scores = items.map((item, index): ItemScores => {
    const own = byItem[index]!;
    const common = {
      index,
      task: item.task ?? name,
      logLikelihoods: own.map(({ sum }) => sum),
      ...(perToken && { tokens: own.map((answer, i) => tokenScores(requests[index]![i]!, answer)) }),
    };
    return "gold" in item ? { ...common, gold: item.gold } : { ...common, gold: null, greedy: own[0]!.greedy };
  });
  const tasks = new Map<string, number[]>();
  for (const { index, task } of scores) {
    const indices = tasks.get(task) ?? [];
    tasks.set(task, indices);
    indices.push(index);
  }
  const results = Array.from(tasks, ([task, indices]) => {
    const own = indices.map((i) => items[i]!);
    return [
      task,
      taskScores(
        own,
        indices.map((i) => byItem[i]!),
      ),
    ] as const;
  });
  return { tasks: Object.fromEntries(results), items: scores };
}

function requestOf({ context, continuation }: EncodedPair, length: number, name: string): Request {
  if (continuation.length === 0) throw new DataError(`${name}: expected a continuation of tokens but received none`);
  if (continuation.length > length) {
    const expected = `a continuation of at most ${length} tokens, the model's context,`;
    throw new DataError(`${name}: expected ${expected} but received ${continuation.length}`);
  }
  return request(context, continuation, length);
}

function checked(model: Llama, tokenizer: Tokenizer, items: readonly ScoreItem[], options: ScoreOptions) {
  const check = new Arguments("score");
  checkModel(check, model);
  checkItems(check, "items", items);
  const {
    shots,
    name = "items",
    nameOf = (i: number) => `items[${i}]`,
    perToken = false,
    onProgress,
  } = check.options("options", options, ["shots", "name", "nameOf", "perToken", "onProgress"]);
  check.callback("nameOf", nameOf);
  check.callback("onProgress", onProgress);
  check.string("name", name);
  check.boolean("perToken", perToken);
  checkTokenizerFits(check, model, tokenizer);
  if (shots !== undefined) {
    check.wholeNumber("shots.count", check.options("shots", shots, ["count", "items", "name"]).count, 0);
    checkItems(check, "shots.items", shots.items);
    if (shots.name !== undefined) check.string("shots.name", shots.name);
  }
  checkForms(items, name, nameOf);
  return { shots, name, nameOf, perToken, onProgress };
}

function checkItems(check: Arguments, name: string, items: readonly ScoreItem[]): void {
  if (!Array.isArray(items)) check.fail(TypeError, name, "an array of items", describe(items));
  // Not `forEach`, which skips the holes of a sparse array.
  for (const [index, item] of items.entries()) {
    const problem = problemOf(item);
    if (problem === null) continue;
    const { key, expected, received, isRange } = problem;
    check.fail(isRange ? RangeError : TypeError, `${name}[${index}]${key && `.${key}`}`, expected, received);
  }
}
