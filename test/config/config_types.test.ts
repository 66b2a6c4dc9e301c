/** The types of a config are what the schema says. */
import { readFileSync } from "node:fs";
import { expect, it } from "@jest/globals";
import type { z } from "zod";
import { configTypesFile } from "../../docs/config_types.js";
import type { ConfigValues, RunConfigInput } from "../../lib/config/config_types.js";
import type { ModelKeys } from "../../lib/config/model_input.js";
import type { runConfigSchema } from "../../lib/config/schema.js";
import { meaningfulKeys } from "../../lib/hf/config.js";

type Deep<T> = T extends object ? { readonly [K in keyof T]: Deep<T[K]> } : T;
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never;

it("is what `npm run docs` writes", () => {
  expect(readFileSync(new URL("../../lib/config/config_types.ts", import.meta.url), "utf8")).toBe(configTypesFile());
});

it("has the types that zod infers", () => {
  const output: Same<ConfigValues, Deep<z.output<typeof runConfigSchema>>> = true;
  type Input = Omit<RunConfigInput, "model" | "eval"> & { readonly eval?: Exclude<RunConfigInput["eval"], null> };
  const input: Same<Input, Deep<Omit<z.input<typeof runConfigSchema>, "model">>> = true;
  expect([output, input]).toEqual([true, true]);
});

it("has every key of a model that has a meaning", () => {
  const typed: Record<keyof ModelKeys, true> = {
    model_type: true,
    vocab_size: true,
    hidden_size: true,
    intermediate_size: true,
    num_hidden_layers: true,
    num_attention_heads: true,
    num_key_value_heads: true,
    head_dim: true,
    rms_norm_eps: true,
    rope_theta: true,
    rope_scaling: true,
    rope_parameters: true,
    rope_local_base_freq: true,
    partial_rotary_factor: true,
    max_position_embeddings: true,
    tie_word_embeddings: true,
    initializer_range: true,
    bos_token_id: true,
    eos_token_id: true,
    pad_token_id: true,
    attention_bias: true,
    attention_dropout: true,
    mlp_bias: true,
    hidden_act: true,
    hidden_activation: true,
    sliding_window: true,
    use_sliding_window: true,
    sliding_window_pattern: true,
    max_window_layers: true,
    layer_types: true,
    no_rope_layer_interval: true,
    no_rope_layers: true,
    use_bidirectional_attention: true,
    query_pre_attn_scalar: true,
    final_logit_softcapping: true,
    attn_logit_softcapping: true,
  };
  // Quantised weights are refused; max_window_layers is read where windows are used.
  const read = [...meaningfulKeys.filter((key) => key !== "quantization_config"), "max_window_layers"];
  expect(Object.keys(typed).sort()).toEqual([...new Set(read)].sort());
});
