import { describe, expect, it } from "@jest/globals";
import { parseLlamaConfig } from "../../lib/hf/config.js";
import { ropeInverseFrequencies } from "../../lib/hf/rope.js";

/** `LlamaRotaryEmbedding(config).inv_freq` of transformers 5.17 (PyTorch 2.13, CPU), some of its entries. */
const reference: [string, object, number, Record<number, number>][] = [
  [
    "default, head dimension 32",
    { hidden_size: 192, num_attention_heads: 6 },
    16,
    {
      0: 1,
      1: 0.56234133,
      2: 0.31622776,
      3: 0.17782794,
      4: 0.1,
      5: 0.05623413,
      6: 0.03162278,
      7: 0.017782794,
      8: 0.01,
      9: 0.0056234132,
      10: 0.0031622779,
      11: 0.0017782794,
      12: 0.001,
      13: 0.0005623413,
      14: 0.0003162278,
      15: 0.00017782794,
    },
  ],
  [
    "default, head dimension 80, theta 500000",
    { hidden_size: 2560, num_attention_heads: 32, rope_theta: 5e5 },
    40,
    { 1: 0.72032046, 2: 0.51886153, 10: 0.03760603, 20: 0.0014142134, 26: 0.00019754664, 39: 2.7765411e-6 },
  ],
  [
    "linear, head dimension 64",
    { hidden_size: 1024, num_attention_heads: 16, rope_scaling: { rope_type: "linear", factor: 4 } },
    32,
    { 0: 0.25, 1: 0.18747355, 16: 0.0025, 21: 0.00059284345, 30: 4.4456985e-5, 31: 3.3338038e-5 },
  ],
  [
    "llama3, head dimension 64",
    {
      hidden_size: 2048,
      num_attention_heads: 32,
      max_position_embeddings: 131072,
      rope_theta: 5e5,
      rope_scaling: {
        rope_type: "llama3",
        factor: 32,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 8192,
      },
    },
    32,
    { 0: 1, 1: 0.6636013, 8: 0.03760603, 16: 0.0004295567, 17: 9.708286e-5, 21: 5.6872323e-6, 31: 9.4183065e-8 },
  ],
];

describe("ropeInverseFrequencies", () => {
  it.each(reference)("has transformers' bits: %s", (name, json, length, expected) => {
    const frequencies = ropeInverseFrequencies(parseLlamaConfig(json, name));
    expect(frequencies).toHaveLength(length);
    for (const [pair, value] of Object.entries(expected)) {
      expect([pair, frequencies[Number(pair)]]).toEqual([pair, Math.fround(value)]);
    }
  });
});
