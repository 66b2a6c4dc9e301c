/**
 * The shape of a Llama model, with the keys and meaning of Hugging Face's `config.json`
 * (transformers, models/llama/configuration_llama.py).
 */
import { Arguments, show } from "../arguments.js";
import { ConfigError } from "../errors.js";
import { isHeadDim, limits } from "../limits.js";
import { Fields } from "./fields.js";
import type { LlamaConfig } from "./llama_config.js";
import { readRope } from "./rope.js";

/**
 * Reads a parsed `config.json` as written by transformers 4 (`rope_theta`, `rope_scaling`) or 5 (`rope_parameters`).
 * A key that is absent or null takes the default it has in transformers.
 * @param where prefix of the keys in messages, such as a file's name
 * @throws ConfigError with all problems, one per line; TypeError for another `where`
 */
export function parseLlamaConfig(json: unknown, where: string): LlamaConfig {
  new Arguments("parseLlamaConfig").string("where", where);
  const problems: string[] = [];
  const config = readLlamaConfig(json, (key, problem) => problems.push(`${where}: ${key ? `${key}: ` : ""}${problem}`));
  if (config === null || problems.length > 0) throw new ConfigError(problems.join("\n"), { problems });
  return config;
}

/** As `parseLlamaConfig`, but calls `report(key, problem)` for each problem; the result is valid if there is none. */
export function readLlamaConfig(json: unknown, report: (key: string, problem: string) => void): LlamaConfig | null {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    report("", `expected an object with the keys of a Llama config but received ${show(json)}`);
    return null;
  }
  const fields = new Fields(json as Record<string, unknown>, report);
  fields.mustBe("model_type", "llama");
  fields.mustBe("hidden_act", "silu");
  fields.mustBe("attention_bias", false);
  fields.mustBe("mlp_bias", false);
  fields.mustBe("attention_dropout", 0);
  refuseQuantized(fields);

  const hidden = fields.positiveInteger("hidden_size", 4096);
  const heads = fields.positiveInteger("num_attention_heads", 32);
  const maxPositions = fields.positiveInteger("max_position_embeddings", 2048);
  const config: LlamaConfig = {
    vocab_size: fields.positiveInteger("vocab_size", 32000),
    hidden_size: hidden,
    intermediate_size: fields.positiveInteger("intermediate_size", 11008),
    num_hidden_layers: fields.positiveInteger("num_hidden_layers", 32),
    num_attention_heads: heads,
    num_key_value_heads: fields.positiveInteger("num_key_value_heads", heads),
    head_dim: fields.positiveInteger("head_dim", Math.max(1, Math.floor(hidden / heads))),
    rms_norm_eps: fields.positiveNumber("rms_norm_eps", 1e-6),
    ...readRope(fields, maxPositions),
    max_position_embeddings: maxPositions,
    tie_word_embeddings: fields.boolean("tie_word_embeddings", false),
    initializer_range: fields.numberBetween("initializer_range", 0, 1, 0.02),
    bos_token_id: fields.tokenId("bos_token_id", 1),
    eos_token_id: fields.tokenIds("eos_token_id", 2),
    pad_token_id: fields.tokenId("pad_token_id", null),
  };
  checkHeads(config, fields);
  return config;
}

/**
 * Keys of a config.json that change how the model is built or read: those that the reader uses. All others
 * (`_name_or_path`, `use_cache`, …) have no meaning here and are ignored.
 */
export const meaningfulKeys: readonly string[] = keysRead();

function keysRead(): string[] {
  const keys = new Set<string>();
  const asked = new Proxy(
    {},
    {
      getOwnPropertyDescriptor: (_, key) => {
        keys.add(String(key));
        return undefined;
      },
    },
  );
  readLlamaConfig(asked, () => undefined);
  return [...keys];
}

/** Weights of fewer bits have other tensors, and mean nothing without the method that made them. */
function refuseQuantized(fields: Fields): void {
  if (!fields.has("quantization_config")) return;
  const { quant_method: method } = fields.get("quantization_config") as { quant_method?: unknown };
  const received = typeof method === "string" ? `those of ${method}` : "quantised ones";
  fields.report("quantization_config", `expected weights in fp32, bf16 or fp16 but received ${received}`);
}

function checkHeads(config: LlamaConfig, fields: Fields): void {
  const { hidden_size: hidden, num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim } = config;
  if (hidden % heads !== 0) {
    fields.report("hidden_size", `expected a multiple of num_attention_heads (${heads}) but received ${hidden}`);
  } else if (!isHeadDim(headDim)) {
    const origin = fields.has("head_dim") ? "" : ` (hidden_size ${hidden} / num_attention_heads ${heads})`;
    fields.report("head_dim", `expected one of ${limits.headDims.join(", ")} but received ${headDim}${origin}`);
  }
  if (heads % kvHeads !== 0) {
    fields.report(
      "num_key_value_heads",
      `expected a divisor of num_attention_heads (${heads}) but received ${kvHeads}`,
    );
  }
}

/**
 * The `config.json` of a checkpoint. The rotary embedding and the dtype are in it twice, as transformers 4, vLLM and
 * llama.cpp's converter read them (`rope_theta`, `rope_scaling`, `torch_dtype`) and as transformers 5 does
 * (`rope_parameters`, `dtype`).
 * @param dtype the element type of the weights beside it
 */
export function toHuggingFaceConfig(config: LlamaConfig, dtype: "float32" | "bfloat16"): Record<string, unknown> {
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    ...config,
    hidden_act: "silu",
    attention_bias: false,
    attention_dropout: 0,
    mlp_bias: false,
    rope_parameters: { rope_type: "default", ...config.rope_scaling, rope_theta: config.rope_theta },
    torch_dtype: dtype,
    dtype,
    use_cache: true,
  };
}

/** The `generation_config.json` of a checkpoint: the tokens that begin, end and pad a text. */
export function generationConfig(config: LlamaConfig): Record<string, unknown> {
  const { bos_token_id, eos_token_id, pad_token_id } = config;
  return {
    _from_model_config: true,
    bos_token_id,
    eos_token_id,
    ...(pad_token_id === null ? {} : { pad_token_id }),
  };
}
