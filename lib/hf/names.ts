/** The one table of a Llama model's parameters: Hugging Face's tensor names, shapes and order. */
import type { LlamaConfig } from "./llama_config.js";

/** A parameter tensor. Weight decay applies to a matrix, not to a vector (the weight of a norm). */
export interface Parameter {
  readonly name: string;
  /** Matrices are [output, input], as `nn.Linear` keeps them; the embedding is [vocab_size, hidden_size]. */
  readonly shape: readonly number[];
  readonly kind: "matrix" | "vector";
}

/** All parameters in the order of `LlamaForCausalLM.named_parameters()`; a tied head is not among them. */
export function parameterTable(config: LlamaConfig): Parameter[] {
  const { vocab_size: vocab, hidden_size: hidden, intermediate_size: intermediate, head_dim: headDim } = config;
  const queries = config.num_attention_heads * headDim;
  const keys = config.num_key_value_heads * headDim;
  const matrix = (name: string, rows: number, columns: number): Parameter => {
    return { name: `${name}.weight`, shape: [rows, columns], kind: "matrix" };
  };
  const vector = (name: string): Parameter => ({ name: `${name}.weight`, shape: [hidden], kind: "vector" });

  const table = [matrix("model.embed_tokens", vocab, hidden)];
  for (let index = 0; index < config.num_hidden_layers; index++) {
    const layer = `model.layers.${index}`;
    table.push(
      matrix(`${layer}.self_attn.q_proj`, queries, hidden),
      matrix(`${layer}.self_attn.k_proj`, keys, hidden),
      matrix(`${layer}.self_attn.v_proj`, keys, hidden),
      matrix(`${layer}.self_attn.o_proj`, hidden, queries),
      matrix(`${layer}.mlp.gate_proj`, intermediate, hidden),
      matrix(`${layer}.mlp.up_proj`, intermediate, hidden),
      matrix(`${layer}.mlp.down_proj`, hidden, intermediate),
      vector(`${layer}.input_layernorm`),
      vector(`${layer}.post_attention_layernorm`),
    );
  }
  table.push(vector("model.norm"));
  if (!config.tie_word_embeddings) table.push(matrix("lm_head", vocab, hidden));
  return table;
}

/** A model's number of parameters; a tied head counts once. */
export function parameterCount(config: LlamaConfig): number {
  return parameterTable(config).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}
