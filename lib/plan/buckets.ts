/** How the parameters are cut into buckets, each of which is reduced and gathered as one. */
import type { LlamaConfig } from "../hf/llama_config.js";
import { parameterLayout } from "../nn/parameters.js";
import { grouped, type Part, type RankShare } from "../nn/sharding.js";

/** Elements of the buckets, padded so that all ranks have equal parts. */
export interface Buckets {
  /** 0: tied to the embedding. */
  readonly head: number;
  /** Of groups of layers, that of the last layers first. */
  readonly layers: readonly number[];
  /** With the vectors, which are complete with it or before. */
  readonly embedding: number;
}

export function bucketsOf(config: LlamaConfig, { size: ranks, bucketParameters }: RankShare): Buckets {
  const { units } = parameterLayout(config, ranks);
  const groups = grouped(units, bucketParameters);
  const sizeOf = (part: Part) => groups.find(({ parts }) => parts[0] === part)?.size ?? 0;
  const layers = groups.filter(({ parts }) => typeof parts[0] === "number").map(({ size }) => size);
  return { head: sizeOf("head"), layers: layers.toReversed(), embedding: sizeOf("embedding") + sizeOf("vectors") };
}

/** P: all elements, the padding included. */
export function paddedParameters({ head, layers, embedding }: Buckets): number {
  return head + embedding + layers.reduce((sum, bucket) => sum + bucket, 0);
}
