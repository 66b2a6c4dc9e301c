import type { Arguments } from "../arguments.js";
import { Tensor } from "../native.js";
import type { Parameters } from "./parameters.js";

/** The ids of a sequence's tokens. */
export type TokenIds = readonly number[] | Int32Array | Uint32Array;

/** Sequences of the same number of tokens: one, several, or i32 [B, T * K] on the model's device. */
export type TokenBatch = TokenIds | readonly TokenIds[] | Tensor<"i32">;

/** B sequences of T positions of K tokens: B * T * K ids. */
export interface CheckedBatch {
  readonly sequences: number;
  readonly positions: number;
  readonly patchSize: number;
  readonly ids: Int32Array | Tensor<"i32">;
}

/** Checks an argument `tokens`. @throws TypeError, RangeError */
export function checkBatch(check: Arguments, { config, master }: Parameters, tokens: TokenBatch, patchSize: number) {
  check.wholeNumber("patchSize", patchSize, 1, 2 ** 31 - 1);
  const context = config.max_position_embeddings;
  const cut = (sequences: number, length: number, ids: CheckedBatch["ids"]): CheckedBatch => {
    const positions = length / patchSize;
    if (Number.isInteger(positions) && positions >= 1 && positions <= context) {
      return { sequences, positions, patchSize, ids };
    }
    const expected = `sequences of 1 to ${context} positions (the model's context) of ${patchSize} tokens`;
    return check.fail(RangeError, "tokens", expected, `${length} tokens`);
  };
  if (tokens instanceof Tensor) {
    check.tensor("this", master, { dtypes: ["f32"] });
    const [sequences, length] = check.tensor("tokens", tokens, { dtypes: ["i32"], shape: ["B", "T * K"] });
    return cut(sequences!, length!, tokens.reshape([tokens.size]));
  }
  const known = `a token's id, from 0 to below ${config.vocab_size},`;
  const isKnown = (id: number) => Number.isInteger(id) && id >= 0 && id < config.vocab_size;
  if (!isBatch(tokens)) {
    const ids = check.numbers("tokens", tokens, known, isKnown);
    return cut(1, ids.length, Int32Array.from(ids));
  }
  const rows = Array.from(tokens, (row, index) => check.numbers(`tokens[${index}]`, row, known, isKnown));
  const { length } = rows[0]!;
  const other = rows.findIndex((row) => row.length !== length);
  if (other !== -1) {
    check.fail(RangeError, `tokens[${other}]`, `as many tokens as tokens[0], ${length},`, String(rows[other]!.length));
  }
  return cut(rows.length, length, Int32Array.from(rows.flat()));
}

/** An empty array is a sequence without a token. */
function isBatch(tokens: TokenIds | readonly TokenIds[]): tokens is readonly TokenIds[] {
  return Array.isArray(tokens) && tokens.length > 0 && typeof tokens[0] !== "number";
}
