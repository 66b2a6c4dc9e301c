import type { Tensor } from "../native.js";
import { Linear, type Weight } from "./linear.js";
import type { Parameters } from "./parameters.js";

export interface LayerWeights {
  readonly attentionNorm: Weight;
  /** The three projections as one: [queries + 2 keys, C]. */
  readonly qkv: Linear;
  readonly output: Linear;
  readonly mlpNorm: Weight;
  /** Gate and up projection as one: [2 I, C]. */
  readonly gateUp: Linear;
  readonly down: Linear;
}

export interface ModelWeights {
  /** [V, C]. */
  readonly embedding: Weight;
  readonly layers: readonly LayerWeights[];
  readonly norm: Weight;
  /** [V, C]; the embedding's if it is tied. */
  readonly head: Linear;
}

/**
 * The parts of a flat gradient that every backward adds to, and that must be zeros before a step's first: those of the
 * norms, and of the embedding unless it is also the head. Products can write theirs.
 */
export function addedGradients(parameters: Parameters, gradient: Tensor<"f32">): Tensor<"f32">[] {
  const { layout, config } = parameters;
  const norms = gradient.narrow(0, layout.decayed, layout.size - layout.decayed);
  return config.tie_word_embeddings ? [norms] : [parameters.view(gradient, "model.embed_tokens.weight"), norms];
}

/**
 * The weights of a model as its layers use them: views of the flat tensors.
 * @param gradients f32, flat like the master, or null if nothing is trained
 */
export function modelWeights(parameters: Parameters, gradients: Tensor<"f32"> | null): ModelWeights {
  const weight = (first: string, last = first): Weight => {
    const [from, to] = [`${first}.weight`, `${last}.weight`];
    return {
      value: parameters.view(parameters.compute, from, to),
      gradient: gradients && parameters.view(gradients, from, to),
    };
  };
  const embedding = weight("model.embed_tokens");
  return {
    embedding,
    layers: Array.from({ length: parameters.config.num_hidden_layers }, (_, index) => {
      const layer = `model.layers.${index}`;
      return {
        attentionNorm: weight(`${layer}.input_layernorm`),
        qkv: new Linear(weight(`${layer}.self_attn.q_proj`, `${layer}.self_attn.v_proj`)),
        output: new Linear(weight(`${layer}.self_attn.o_proj`)),
        mlpNorm: weight(`${layer}.post_attention_layernorm`),
        gateUp: new Linear(weight(`${layer}.mlp.gate_proj`, `${layer}.mlp.up_proj`)),
        down: new Linear(weight(`${layer}.mlp.down_proj`)),
      };
    }),
    norm: weight("model.norm"),
    head: new Linear(parameters.config.tie_word_embeddings ? embedding : weight("lm_head")),
  };
}
