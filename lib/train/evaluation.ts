import type { TokenDataset } from "../data/dataset.js";
import { DataError } from "../errors.js";
import type { Tensor } from "../native.js";
import { Pass, type PassBuffers } from "../nn/pass.js";
import type { PassShape } from "../nn/shape.js";
import type { ModelWeights } from "../nn/weights.js";
import { evaluationBatches } from "./micro_batch.js";

/** The first consecutive blocks of a held-out dataset: the same ones in every evaluation of every run. */
export async function heldOutTokens(
  dataset: TokenDataset,
  sequences: number,
  positions: number,
  vocabulary: number,
): Promise<{ tokens: Int32Array; sequences: number }> {
  const available = Math.min(sequences, Math.floor(dataset.tokenCount / positions));
  if (available === 0) {
    throw new DataError(
      `${dataset.shards[0]!.path}: expected at least one held-out sequence of ${positions} tokens ` +
        `but received ${dataset.tokenCount} tokens`,
    );
  }
  const tokens = new Int32Array(available * positions);
  await dataset.read(0, tokens);
  dataset.checkVocabulary(tokens, 0, vocabulary);
  return { tokens, sequences: available };
}

/** The token-level loss on held-out sequences, over buffers that training uses too. */
export class Evaluation {
  readonly #parts: { pass: Pass; tokens: Tensor<"i32"> }[] = [];

  /** @param tokens i32 [sequences * positions], on the device */
  constructor(
    shape: PassShape,
    weights: ModelWeights,
    buffers: PassBuffers,
    tokens: Tensor<"i32">,
    sequences: number,
    positions: number,
  ) {
    const passes = new Map<number, Pass>();
    let start = 0;
    for (const batch of evaluationBatches(sequences, positions, shape.positions)) {
      const length = batch.sequences * positions;
      // A pass counts by its sequences, so that the sum over passes is the mean over all.
      const share = [batch.sequences / sequences];
      const pass = passes.get(batch.sequences) ?? new Pass(shape, batch, weights, buffers, share, false);
      passes.set(batch.sequences, pass);
      this.#parts.push({ pass, tokens: tokens.narrow(0, start, length) });
      start += length;
    }
  }

  /** Mean loss in nats a token. */
  async loss(): Promise<number> {
    this.#parts.forEach(({ pass, tokens }, index) => pass.forward(tokens, index > 0));
    const [loss] = await this.#parts[0]!.pass.loss.read();
    return loss!;
  }
}
