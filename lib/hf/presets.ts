/**
 * Model shapes by name. The `llama-*` ones are the models of the patch-level training paper (arXiv 2407.12665):
 * Llama-2's vocabulary, an untied head, head dimensions 64, 96, 128 and 80. `tiny` (3.3 million parameters)
 * trains in minutes on a CPU.
 */
import { deepFreeze } from "../config/deep_freeze.js";
import type { LlamaConfig } from "./llama_config.js";

/** The keys of a Hugging Face config that define a model's shape: a preset sets them. */
export const shapeKeys = [
  "vocab_size",
  "hidden_size",
  "intermediate_size",
  "num_hidden_layers",
  "num_attention_heads",
] as const satisfies readonly (keyof LlamaConfig)[];

/** The keys of a Hugging Face config that a preset sets; the rest have their defaults. */
export type Preset = Pick<LlamaConfig, (typeof shapeKeys)[number]>;

const paper = (hidden_size: number, intermediate_size: number, layers: number, heads: number): Preset => ({
  vocab_size: 32000,
  hidden_size,
  intermediate_size,
  num_hidden_layers: layers,
  num_attention_heads: heads,
});

/**
 * The presets by name, as keys of a Hugging Face config.
 *
 * @example
 * ```ts
 * import { Llama, presets } from "nextpatch";
 *
 * using model = Llama.create({ ...presets.tiny, vocab_size: 4096 });
 * console.log(model.parameterCount);
 * ```
 */
export const presets = deepFreeze({
  tiny: {
    vocab_size: 4096,
    hidden_size: 192,
    intermediate_size: 512,
    num_hidden_layers: 4,
    num_attention_heads: 6,
  },
  "llama-370m": paper(1024, 2752, 24, 16),
  "llama-780m": paper(1536, 4128, 24, 16),
  "llama-1.3b": paper(2048, 5504, 24, 16),
  "llama-2.7b": paper(2560, 6880, 32, 32),
} as const satisfies Record<string, Preset>);

/** A preset's name, for `model.preset` in a config. */
export type PresetName = keyof typeof presets;

/** The presets' names, smallest model first. */
export const presetNames = Object.keys(presets) as PresetName[];
