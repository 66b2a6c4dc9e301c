import { Arguments } from "../arguments.js";
import type { Tokenizer } from "../data/tokenizer.js";
import { DataError } from "../errors.js";
import { checkModel, checkTokenizerFits, type Llama } from "../nn/llama.js";
import { logLikelihoods } from "./log_likelihoods.js";
import { type LogLikelihood, type Request, type TokenScores, tokenScores } from "./request.js";
import { TextEncoder } from "./text_encoder.js";
import { spaces } from "./white_space.js";
import { windowsOf } from "./windows.js";

/** Options of `scoreText`. */
export interface ScoreTextOptions {
  /**
   * Tokens that each window but the first predicts, from 1 to the model's context: fewer give each token more context, at
   * a higher cost. Default: the model's context, as lm-evaluation-harness has it.
   */
  readonly stride?: number;
  /** Whether the scores of single tokens are wanted. Default false. */
  readonly perToken?: boolean;
  /** Called with the number of tokens scored so far, and of all. */
  readonly onProgress?: (done: number, of: number) => void;
}

/** The result of `scoreText`. */
export interface TextScores {
  /** e to the power of the negative log-likelihood of a word; words are what white space separates. */
  readonly wordPerplexity: number;
  /** The same of a byte of UTF-8. */
  readonly bytePerplexity: number;
  /** Its logarithm to base 2. */
  readonly bitsPerByte: number;
  /** Tokens predicted. */
  readonly tokens: number;
  readonly bytes: number;
  readonly words: number;
  /** With `perToken`: those of each document. */
  readonly documents?: readonly TokenScores[];
}

/**
 * The perplexity of documents, every token of them predicted once, in rolling windows: what lm-evaluation-harness computes
 * for WikiText.
 * @throws TypeError or RangeError for a wrong argument; DataError if there is no text; DeviceError, OutOfMemoryError
 *
 * @example
 * ```ts
 * import { Llama, scoreText, Tokenizer } from "nextpatch";
 *
 * using model = await Llama.load("runs/mine/model");
 * const tokenizer = await Tokenizer.fromFile("runs/mine/model/tokenizer.json");
 * const { bitsPerByte } = await scoreText(model, tokenizer, ["The river is wide.", "So is the sea."]);
 * console.log(bitsPerByte);
 * ```
 */
export async function scoreText(
  model: Llama,
  tokenizer: Tokenizer,
  documents: readonly string[],
  options: ScoreTextOptions = {},
): Promise<TextScores> {
  const check = new Arguments("scoreText");
  checkModel(check, model);
  checkTokenizerFits(check, model, tokenizer);
  const texts = check.strings("documents", documents, 1);
  const context = model.config.max_position_embeddings;
  const {
    stride = context,
    perToken = false,
    onProgress,
  } = check.options("options", options, ["stride", "perToken", "onProgress"]);
  check.wholeNumber("stride", stride, 1, context);
  check.boolean("perToken", perToken);
  check.callback("onProgress", onProgress);
  const encoder = await TextEncoder.of(tokenizer, model.folder);
  const encoded = await encoder.encode(texts);
  const tokens = encoded.reduce((sum, ids) => sum + ids.length, 0);
  if (tokens === 0) throw new DataError("scoreText: documents: expected text but received none");
  const requests = encoded.map((ids) => windowsOf([encoder.start, ...ids], context, stride));
  const answers = await logLikelihoods(model, requests.flat(), onProgress);
  const sum = answers.reduce((total, answer) => total + answer.sum, 0);
  const bytes = texts.reduce((total, text) => total + Buffer.byteLength(text), 0);
  const words = texts.reduce((total, text) => total + 1 + (text.match(spaces)?.length ?? 0), 0);
  return {
    wordPerplexity: Math.exp(-sum / words),
    bytePerplexity: Math.exp(-sum / bytes),
    bitsPerByte: -sum / bytes / Math.LN2,
    tokens,
    bytes,
    words,
    ...(perToken && { documents: documentScores(requests, answers) }),
  };
}

/** @param answers of the windows of all documents, in their order */
function documentScores(documents: readonly (readonly Request[])[], answers: readonly LogLikelihood[]): TokenScores[] {
  let next = 0;
  return documents.map((windows) => {
    const scores = windows.map((window) => tokenScores(window, answers[next++]!));
    return {
      ids: Int32Array.from(scores.flatMap(({ ids }) => [...ids])),
      logLikelihoods: Float32Array.from(scores.flatMap(({ logLikelihoods }) => [...logLikelihoods])),
    };
  });
}
