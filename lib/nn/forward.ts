import { Arguments } from "../arguments.js";
import { native, type Tensor } from "../native.js";
import { blockRanges, blocksPerPass } from "./block_loss.js";
import { allocate, disposeAll, Spec } from "./buffers.js";
import { ForwardPass, forwardPositions, forwardSpecs } from "./forward_pass.js";
import type { Parameters } from "./parameters.js";
import { checkBatch, type TokenBatch } from "./token_batch.js";

/** Options of `Llama.forward`. */
export interface ForwardOptions<L extends boolean = boolean, H extends boolean = boolean> {
  /** Whether logits are wanted. Default true. */
  readonly logits?: L;
  /** Whether hidden states are wanted. Default false. */
  readonly hidden?: H;
  /** K: tokens of a position. Default 1. */
  readonly patchSize?: number;
}

/** The result of `Llama.forward`, on the model's device: the caller disposes of it. */
export interface ForwardResult<L extends boolean = boolean, H extends boolean = boolean> {
  /** f32 [B, T, vocab_size]: of the token, or the tokens of the patch, after each position. */
  readonly logits: L extends true ? Tensor<"f32"> : null;
  /**
   * f32 [B, T, hidden_size] each, as transformers' `output_hidden_states`: the embeddings, the output of every layer but
   * the last, and that of the last after the final norm.
   */
  readonly hidden: H extends true ? readonly Tensor<"f32">[] : null;
}

/** What `Llama.forward` does, of a model with these parameters. */
export function forward(parameters: Parameters, tokens: TokenBatch, options: ForwardOptions): ForwardResult {
  const check = new Arguments("Llama.forward");
  const { config, device } = parameters;
  const {
    logits = true,
    hidden = false,
    patchSize = 1,
  } = check.options("options", options, ["logits", "hidden", "patchSize"]);
  check.boolean("logits", logits);
  check.boolean("hidden", hidden);
  if (!logits && !hidden) check.fail(RangeError, "logits", "true where hidden is not", "false");
  const { sequences, positions, ids } = checkBatch(check, parameters, tokens, patchSize);
  const { vocab_size: vocabulary, hidden_size: width, num_hidden_layers: layers } = config;
  const perPass = Math.min(sequences, blocksPerPass(positions, forwardPositions[device.backend]));
  const limits = { positions: perPass * positions, length: positions, patchSize };
  // Each layer then has a stream of its own.
  const kept = hidden ? "block" : null;
  const state = new Spec("f32", [sequences, positions, width]);
  const { pass: buffers, ...result } = allocate(device, {
    logits: logits ? new Spec("f32", [sequences, positions, vocabulary]) : null,
    hidden: hidden ? Array.from({ length: layers + 1 }, () => state) : null,
    pass: forwardSpecs(parameters, limits, kept),
  });
  try {
    const pass = new ForwardPass(parameters, buffers, kept);
    for (const { start, count } of blockRanges(sequences, perPass)) {
      const [begin, size] = [start * positions * patchSize, count * positions * patchSize];
      const part = "narrow" in ids ? ids.narrow(0, begin, size) : ids.subarray(begin, begin + size);
      const transformer = pass.run(part, { sequences: count, positions, patchSize });
      const rows = (all: Tensor, columns: number) => all.narrow(0, start, count).reshape([count * positions, columns]);
      if (result.logits !== null) pass.weights.head.forward(rows(result.logits, vocabulary), transformer.out);
      result.hidden?.forEach((all, index) => native.copy(rows(all, width), transformer.hidden[index]!));
    }
  } catch (error) {
    disposeAll(result);
    throw error;
  } finally {
    disposeAll(buffers);
  }
  return result;
}
