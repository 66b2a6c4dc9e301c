import { architectureOf, biasesOf } from "../hf/architectures.js";
import { type NormPlace, normNames } from "../hf/names.js";
import type { Tensor } from "../native.js";
import type { GradientOf } from "./gradients.js";
import { Linear, type Weight } from "./linear.js";
import type { Parameters } from "./parameters.js";

export interface LayerWeights {
  /** The weights of the norms that the layer has. */
  readonly norms: Readonly<Record<NormPlace, Weight | null>>;
  /** The three projections as one: [queries + 2 keys, C]. */
  readonly qkv: Linear;
  /** The weights of the norms of queries and keys. */
  readonly qkNorm: { readonly q: Weight; readonly k: Weight } | null;
  readonly output: Linear;
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
 * vectors, and of the embedding unless it is also the head. Products can write theirs.
 */
export function addedGradients(parameters: Parameters, gradient: Tensor<"f32">): Tensor<"f32">[] {
  const { layout, config } = parameters;
  const vectors = gradient.narrow(0, layout.decayed, layout.size - layout.decayed);
  return config.tie_word_embeddings ? [vectors] : [parameters.view(gradient, "model.embed_tokens.weight"), vectors];
}

/**
 * The weights of a model as its layers use them: views of the flat tensors.
 * @param gradients where those are, or null if nothing is trained
 */
export function modelWeights(parameters: Parameters, gradients: GradientOf | null): ModelWeights {
  const { config } = parameters;
  const { norms, qkNorm } = architectureOf(config);
  const biases = biasesOf(config);
  const names: Partial<Record<NormPlace, string>> = normNames[norms];
  const view = (from: string, to: string): Weight => {
    const { offset, size, shape } = parameters.placeOf(from, to);
    const gradient = gradients && (gradients(offset, size).reshape(shape) as Tensor<"f32">);
    return { value: parameters.view(parameters.compute, from, to), gradient };
  };
  const weight = (first: string, last = first): Weight => view(`${first}.weight`, `${last}.weight`);
  const linear = (bias: boolean, first: string, last = first): Linear =>
    new Linear(weight(first, last), bias ? view(`${first}.bias`, `${last}.bias`) : null);
  const embedding = weight("model.embed_tokens");
  return {
    embedding,
    layers: Array.from({ length: config.num_hidden_layers }, (_, index) => {
      const layer = `model.layers.${index}`;
      const [attention, mlp] = [`${layer}.self_attn`, `${layer}.mlp`];
      const norm = (place: NormPlace) => (names[place] === undefined ? null : weight(`${layer}.${names[place]}`));
      return {
        norms: {
          attention: norm("attention"),
          afterAttention: norm("afterAttention"),
          mlp: norm("mlp"),
          afterMlp: norm("afterMlp"),
        },
        qkv: linear(biases.qkv, `${attention}.q_proj`, `${attention}.v_proj`),
        qkNorm: qkNorm && { q: weight(`${attention}.q_norm`), k: weight(`${attention}.k_norm`) },
        output: linear(biases.output, `${attention}.o_proj`),
        gateUp: linear(biases.mlp, `${mlp}.gate_proj`, `${mlp}.up_proj`),
        down: linear(biases.mlp, `${mlp}.down_proj`),
      };
    }),
    norm: weight("model.norm"),
    head: new Linear(config.tie_word_embeddings ? embedding : weight("lm_head")),
  };
}
