/** The count of FLOPs against a manual count: every product of a small model, element by element. */
import { describe, expect, it } from "@jest/globals";
import { parseLlamaConfig } from "../../lib/hf/config.js";
import { forwardFlops, stepFlops, trainingFlops } from "../../lib/nn/flops.js";

const config = parseLlamaConfig(
  {
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    vocab_size: 50,
  },
  "test",
);
const positions = 3;

/** FLOPs of a product of [rows, inner] with [inner, columns]: a multiplication and an addition per term. */
const product = (rows: number, inner: number, columns: number) => 2 * rows * inner * columns;

/** Forward products of one layer on a sequence of three positions; two heads of 32, one of keys and values. */
const layer = {
  projections: [
    product(3, 64, 64), // queries
    product(3, 64, 32), // keys
    product(3, 64, 32), // values
    product(3, 64, 64), // output
    product(3, 64, 96), // gate
    product(3, 64, 96), // up
    product(3, 96, 64), // down
  ],
  // Per head, position t meets t + 1 positions in both products: scores, and the mean of the values.
  attention: [1, 2, 3].flatMap((seen) => [0, 1].flatMap(() => [product(1, 32, seen), product(1, seen, 32)])),
};
const head = product(3, 64, 50);
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

describe("FLOPs", () => {
  it("are those of the products of a small model, of attention its causal half", () => {
    const { embedding, projections, attention, head: ofHead } = forwardFlops(config, positions, 4);
    expect(positions * projections).toBe(2 * sum(layer.projections));
    expect(positions * attention).toBe(2 * sum(layer.attention));
    expect(positions * ofHead).toBe(head);
    // Three patches of four tokens, 64 numbers each, are read and summed.
    expect(positions * embedding).toBe(3 * 4 * 64);
  });

  it("are thrice those of the products in training, and twice those of the embedding", () => {
    // The backward of a product is two: the gradient of either factor.
    const products = 2 * (sum(layer.projections) + sum(layer.attention)) + head;
    for (const patchSize of [1, 4]) {
      expect(positions * trainingFlops(config, positions, patchSize)).toBe(3 * products + 2 * 3 * patchSize * 64);
    }
    const step = { positionsPerStep: 6, sequenceLength: 3, patchSize: 4 };
    expect(stepFlops(config, step)).toBe(2 * (3 * products + 2 * 3 * 4 * 64));
  });
});
