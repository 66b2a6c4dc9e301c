/** Keys of a run whose activations take tens of terabytes, and whose parameters take little. */
export const tooLarge = {
  model: {
    hidden_size: 1024,
    intermediate_size: 4096,
    num_hidden_layers: 4,
    num_attention_heads: 8,
    num_key_value_heads: 8,
    vocab_size: 96,
    max_position_embeddings: 64,
  },
  batch: { tokensPerStep: 2 ** 30, sequenceLength: 16, microBatch: 2 ** 24 },
} as const;
