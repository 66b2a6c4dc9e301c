import { describe, expect, it } from "@jest/globals";
import { ConfigError } from "../../lib/errors.js";
import { generationConfig, parseLlamaConfig, toHuggingFaceConfig } from "../../lib/hf/config.js";
import { parameterCount } from "../../lib/hf/names.js";
import { type PresetName, presetNames, presets } from "../../lib/hf/presets.js";

const small = { hidden_size: 64, num_attention_heads: 2, intermediate_size: 96, num_hidden_layers: 1, vocab_size: 50 };

function problemsOf(json: unknown): readonly string[] {
  try {
    parseLlamaConfig(json, "config.json");
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).problems;
  }
  return [];
}

describe("parseLlamaConfig", () => {
  it("refuses a value that cannot be made a number", () => {
    const config = { model_type: "llama", hidden_size: { toString: 0 } };
    expect(() => parseLlamaConfig(config, "c")).toThrow("c: hidden_size: expected a positive integer but received");
  });

  it("has the defaults of transformers", () => {
    expect(parseLlamaConfig({}, "config.json")).toEqual({
      model_type: "llama",
      vocab_size: 32000,
      hidden_size: 4096,
      intermediate_size: 11008,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 32,
      head_dim: 128,
      rms_norm_eps: 1e-6,
      rope_theta: 10000,
      rope_scaling: null,
      max_position_embeddings: 2048,
      tie_word_embeddings: false,
      initializer_range: 0.02,
      bos_token_id: 1,
      eos_token_id: 2,
      pad_token_id: null,
      attention_bias: false,
      mlp_bias: false,
    });
  });

  it("takes null as absent, but no beginning and no end of text as said", () => {
    const nulls = {
      num_key_value_heads: null,
      head_dim: null,
      rope_scaling: null,
      bos_token_id: null,
      eos_token_id: null,
    };
    const config = parseLlamaConfig({ ...small, ...nulls }, "config.json");
    expect(config).toMatchObject({ num_key_value_heads: 2, head_dim: 32, bos_token_id: null, eos_token_id: null });
    expect(parseLlamaConfig({ ...small, eos_token_id: [3, 4] }, "c").eos_token_id).toEqual([3, 4]);
  });

  it("reads the rotary embedding as transformers 4 and 5 write it, with transformers' precedence", () => {
    const rope = (json: object) => {
      const { rope_theta, rope_scaling } = parseLlamaConfig({ ...small, ...json }, "config.json");
      return { rope_theta, rope_scaling };
    };
    const linear = { rope_type: "linear", factor: 2 };
    expect(rope({ rope_theta: 5e5 })).toEqual({ rope_theta: 5e5, rope_scaling: null });
    expect(rope({ rope_theta: 5e5, rope_scaling: { type: "linear", factor: 2 } })).toEqual({
      rope_theta: 5e5,
      rope_scaling: linear,
    });
    expect(rope({ rope_parameters: { rope_type: "default", rope_theta: 7e4 } })).toEqual({
      rope_theta: 7e4,
      rope_scaling: null,
    });
    expect(rope({ rope_theta: 1, rope_parameters: { ...linear, rope_theta: 7e4 } })).toEqual({
      rope_theta: 7e4,
      rope_scaling: linear,
    });
    expect(rope({ rope_scaling: linear, rope_parameters: { rope_type: "default", rope_theta: 7e4 } })).toEqual({
      rope_theta: 10000,
      rope_scaling: linear,
    });
    const llama3 = { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
    expect(rope({ max_position_embeddings: 777, rope_parameters: llama3 }).rope_scaling).toEqual({
      ...llama3,
      original_max_position_embeddings: 777,
    });
  });

  it("knows silu by both of its names", () => {
    const of = (activation: string) => parseLlamaConfig({ ...small, hidden_act: activation }, "config.json");
    expect(of("swish")).toEqual(of("silu"));
  });

  it("tells all problems at once, each by its key", () => {
    const wrong = {
      model_type: "gpt2",
      hidden_size: 100,
      num_attention_heads: 3,
      num_key_value_heads: 2,
      intermediate_size: -1,
      vocab_size: "32000",
      num_hidden_layers: 1.5,
      rms_norm_eps: 0,
      tie_word_embeddings: "no",
      hidden_act: "gelu",
      attention_bias: "yes",
      mlp_bias: 1,
      attention_dropout: 0.1,
      initializer_range: 2,
      bos_token_id: "<s>",
      eos_token_id: [1, "x"],
      rope_scaling: { rope_type: "ntk", factor: 4 },
    };
    expect(problemsOf(wrong)).toEqual([
      'config.json: model_type: expected "llama", "mistral", "qwen2", "qwen3", "smollm3", "olmo2" or "gemma3_text" but received "gpt2"',
      'config.json: hidden_act: expected "silu", the only one supported, but received "gelu"',
      "config.json: attention_dropout: expected 0, the only one supported, but received 0.1",
      "config.json: num_hidden_layers: expected a positive integer but received 1.5",
      'config.json: vocab_size: expected a positive integer but received "32000"',
      "config.json: intermediate_size: expected a positive integer but received -1",
      "config.json: rms_norm_eps: expected a positive number but received 0",
      'config.json: rope_scaling.rope_type: expected "default", "linear", "dynamic", "yarn", "longrope" or "llama3" but received "ntk"',
      'config.json: tie_word_embeddings: expected true or false but received "no"',
      "config.json: initializer_range: expected a number from 0 to 1 but received 2",
      'config.json: bos_token_id: expected a token id (an integer) but received "<s>"',
      'config.json: eos_token_id: expected a token id or a list of them but received [1,"x"]',
      'config.json: attention_bias: expected true or false but received "yes"',
      "config.json: mlp_bias: expected true or false but received 1",
      "config.json: hidden_size: expected a multiple of num_attention_heads (3) but received 100",
      "config.json: num_key_value_heads: expected a divisor of num_attention_heads (3) but received 2",
    ]);
  });

  it.each<[string, object, string]>([
    [
      "a head dimension without kernels",
      { hidden_size: 96, num_attention_heads: 4 },
      "expected one of 16, 32, 48, 64, 80, 96, 128, 256 but received 24 (hidden_size 96 /",
    ],
    [
      "one given outright",
      { head_dim: 40 },
      "head_dim: expected one of 16, 32, 48, 64, 80, 96, 128, 256 but received 40",
    ],
    ["a stretch by nothing", { rope_scaling: { rope_type: "linear" } }, "rope_scaling.factor: expected a positive"],
    ["a part of each head rotated", { partial_rotary_factor: 0.5 }, "partial_rotary_factor: expected 1, the only one"],
    [
      "frequency bounds the wrong way round",
      { rope_parameters: { rope_type: "llama3", factor: 8, low_freq_factor: 4, high_freq_factor: 1 } },
      "rope_parameters.high_freq_factor: expected more than low_freq_factor (4) but received 1",
    ],
  ])("tells %s", (_, json, message) => {
    const problems = problemsOf({ ...small, ...json });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(message);
  });

  it.each([null, [], "llama", 3])("tells a config that is no object: %j", (json) => {
    expect(problemsOf(json)).toEqual([
      `config.json: expected an object with the keys of a Llama config but received ${JSON.stringify(json)}`,
    ]);
  });
});

describe("toHuggingFaceConfig", () => {
  it.each<[string, object]>([
    ["default", {}],
    ["linear", { rope_scaling: { rope_type: "linear", factor: 3 }, rope_theta: 2e4 }],
    ["llama3", { rope_scaling: { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 } }],
  ])("is read back the same by readers of either form, %s frequencies", (_, rope) => {
    const config = parseLlamaConfig({ ...small, ...rope, num_key_value_heads: 1, eos_token_id: [2, 3] }, "c");
    const written = toHuggingFaceConfig(config, "bfloat16");
    expect(written).toMatchObject({ architectures: ["LlamaForCausalLM"], model_type: "llama", dtype: "bfloat16" });
    expect(parseLlamaConfig(written, "c")).toEqual(config);
    const { rope_parameters, ...version4 } = written;
    expect(parseLlamaConfig(version4, "c")).toEqual(config);
    const { rope_theta, rope_scaling, ...version5 } = written;
    expect(rope_theta).toBe(config.rope_theta);
    expect(rope_scaling).toEqual(config.rope_scaling);
    expect(rope_parameters).toMatchObject({ rope_theta: config.rope_theta });
    expect(parseLlamaConfig(version5, "c")).toEqual(config);
  });

  it("has a generation config beside it", () => {
    const config = parseLlamaConfig({ ...small, eos_token_id: [2, 3] }, "c");
    expect(generationConfig(config)).toEqual({ _from_model_config: true, bos_token_id: 1, eos_token_id: [2, 3] });
    expect(generationConfig({ ...config, pad_token_id: 0 })).toHaveProperty("pad_token_id", 0);
  });
});

describe("presets", () => {
  // As counted by PyTorch over the parameters of transformers 5.17's LlamaForCausalLM.
  it.each<[PresetName, number, number]>([
    ["tiny", 32, 3_344_064],
    ["llama-370m", 64, 369_148_928],
    ["llama-780m", 96, 781_395_456],
    ["llama-1.3b", 128, 1_345_423_360],
    ["llama-2.7b", 80, 2_693_696_000],
  ])("%s has head dimension %i and %i parameters", (name, headDim, parameters) => {
    const config = parseLlamaConfig(presets[name], name);
    expect(config.head_dim).toBe(headDim);
    expect(config.max_position_embeddings).toBe(2048);
    expect(config.tie_word_embeddings).toBe(false);
    expect(parameterCount(config)).toBe(parameters);
  });

  it("are listed", () => expect(presetNames).toHaveLength(5));
});
