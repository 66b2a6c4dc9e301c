/** The one table of a model's parameters: Hugging Face's tensor names, shapes and order. */
import { architectureOf, biasesOf, type NormPlacement } from "./architectures.js";
import type { LlamaConfig } from "./llama_config.js";

/** A parameter tensor. Weight decay applies to a matrix, not to a vector (a norm's weight, a bias). */
export interface Parameter {
  readonly name: string;
  /** Matrices are [output, input], as `nn.Linear` keeps them; the embedding is [vocab_size, hidden_size]. */
  readonly shape: readonly number[];
  readonly kind: "matrix" | "vector";
}

/** Names of a layer's norms, by where they stand. */
export const normNames = {
  before: { attention: "input_layernorm", mlp: "post_attention_layernorm" },
  behind: { afterAttention: "post_attention_layernorm", afterMlp: "post_feedforward_layernorm" },
  both: {
    attention: "input_layernorm",
    afterAttention: "post_attention_layernorm",
    mlp: "pre_feedforward_layernorm",
    afterMlp: "post_feedforward_layernorm",
  },
} as const satisfies Record<NormPlacement, Partial<Record<NormPlace, string>>>;

/** The norms that a layer may have. */
export type NormPlace = "attention" | "afterAttention" | "mlp" | "afterMlp";

/** All parameters in the order of the model's `named_parameters()` in transformers; a tied head is not among them. */
export function parameterTable(config: LlamaConfig): Parameter[] {
  const { vocab_size: vocab, hidden_size: hidden, intermediate_size: intermediate, head_dim: headDim } = config;
  const queries = config.num_attention_heads * headDim;
  const keys = config.num_key_value_heads * headDim;
  const { norms, qkNorm } = architectureOf(config);
  const biases = biasesOf(config);
  const matrix = (name: string, rows: number, columns: number): Parameter => {
    return { name: `${name}.weight`, shape: [rows, columns], kind: "matrix" };
  };
  const vector = (name: string, size: number): Parameter => ({ name, shape: [size], kind: "vector" });
  const norm = (name: string, size = hidden): Parameter => vector(`${name}.weight`, size);
  const linear = (name: string, rows: number, columns: number, bias: boolean): Parameter[] => {
    const weight = matrix(name, rows, columns);
    return bias ? [weight, vector(`${name}.bias`, rows)] : [weight];
  };

  const table = [matrix("model.embed_tokens", vocab, hidden)];
  for (let index = 0; index < config.num_hidden_layers; index++) {
    const layer = `model.layers.${index}`;
    table.push(
      ...linear(`${layer}.self_attn.q_proj`, queries, hidden, biases.qkv),
      ...linear(`${layer}.self_attn.k_proj`, keys, hidden, biases.qkv),
      ...linear(`${layer}.self_attn.v_proj`, keys, hidden, biases.qkv),
      ...linear(`${layer}.self_attn.o_proj`, hidden, queries, biases.output),
    );
    if (qkNorm !== null) {
      const size = (all: number) => (qkNorm === "head" ? headDim : all);
      table.push(norm(`${layer}.self_attn.q_norm`, size(queries)), norm(`${layer}.self_attn.k_norm`, size(keys)));
    }
    table.push(
      ...linear(`${layer}.mlp.gate_proj`, intermediate, hidden, biases.mlp),
      ...linear(`${layer}.mlp.up_proj`, intermediate, hidden, biases.mlp),
      ...linear(`${layer}.mlp.down_proj`, hidden, intermediate, biases.mlp),
      ...Object.values(normNames[norms]).map((name) => norm(`${layer}.${name}`)),
    );
  }
  table.push(norm("model.norm"));
  if (!config.tie_word_embeddings) table.push(matrix("lm_head", vocab, hidden));
  return table;
}

/** A model's number of parameters; a tied head counts once. */
export function parameterCount(config: LlamaConfig): number {
  return parameterTable(config).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}
