/** How the parameters are cut into buckets, each of which is reduced and gathered as one. */
import type { LlamaConfig } from "../hf/llama_config.js";
import { parameterAlignment, parameterLayout } from "../nn/parameters.js";
import { paddedSize } from "../nn/sharding.js";

/** Elements of the buckets, padded so that all ranks have equal parts. */
export interface Buckets {
  /** 0: tied to the embedding. */
  readonly head: number;
  /** Of groups of layers, all taken to be equal; that of the last layers first. */
  readonly layers: readonly number[];
  /** With the vectors, which are complete with it or before. */
  readonly embedding: number;
}

/** The least parameters of a bucket: more ranks need larger messages. Megatron's rule. */
const leastParameters = (ranks: number): number => Math.max(40e6, 1e6 * ranks);

export function bucketsOf(config: LlamaConfig, ranks: number): Buckets {
  const { slots, size } = parameterLayout(config);
  const sizeOf = (name: string) => slots.find((slot) => slot.name === name)?.size ?? 0;
  const vectors = slots.filter(({ kind }) => kind === "vector").reduce((sum, slot) => sum + slot.size, 0);
  const [head, embedding] = [sizeOf("lm_head.weight"), sizeOf("model.embed_tokens.weight") + vectors];
  const inLayers = size - head - embedding;
  const perBucket = Math.ceil(leastParameters(ranks) / (inLayers / config.num_hidden_layers));
  const count = Math.max(1, Math.floor(config.num_hidden_layers / perBucket));
  const padded = (elements: number) => paddedSize(elements, ranks, parameterAlignment);
  const layers = Array.from({ length: count }, () => padded(inLayers / count));
  return { head: padded(head), layers, embedding: padded(embedding) };
}

/** P: all elements, the padding included. */
export function paddedParameters({ head, layers, embedding }: Buckets): number {
  return head + embedding + layers.reduce((sum, bucket) => sum + bucket, 0);
}
