/**
 * The shape of a Llama-style model, with the keys and meaning of Hugging Face's `config.json` (transformers,
 * models/<model_type>/configuration_<model_type>.py).
 */
import { Arguments, show } from "../arguments.js";
import { deepFreeze } from "../config/deep_freeze.js";
import { ConfigError } from "../errors.js";
import { isHeadDim, limits } from "../limits.js";
import { nearestKey } from "../nearest.js";
import { architectureOf, architectures, modelTypes, type WindowRule } from "./architectures.js";
import { Fields } from "./fields.js";
import { readLayers } from "./layer_types.js";
import type { LlamaConfig, ModelType } from "./llama_config.js";
import { shapeKeys } from "./presets.js";
import { readRope, ropeParameters } from "./rope.js";

/** The most that a model's sizes may be: far above any model's, and low enough that no product of them overflows. */
const MOST = { layers: 10_000, size: 2 ** 24, positions: 2 ** 31 - 1, parameters: 2 ** 44 } as const;

/**
 * Reads a parsed `config.json` as written by transformers 4 (`rope_theta`, `rope_scaling`) or 5 (`rope_parameters`).
 * A key that is absent or null takes the default it has in transformers. What is returned is frozen.
 * @param where prefix of the keys in messages, such as a file's name
 * @throws ConfigError with all problems, one per line; TypeError for another `where`
 *
 * @example
 * ```ts
 * import { readFile } from "node:fs/promises";
 * import { parseLlamaConfig } from "nextpatch";
 *
 * const file = "runs/mine/model/config.json";
 * const { hidden_size, head_dim, rope_theta } = parseLlamaConfig(JSON.parse(await readFile(file, "utf8")), file);
 * console.log(hidden_size, head_dim, rope_theta);
 * ```
 */
export function parseLlamaConfig(json: unknown, where: string): LlamaConfig {
  new Arguments("parseLlamaConfig").string("where", where);
  const problems: string[] = [];
  const config = readLlamaConfig(json, (key, problem) => problems.push(`${where}: ${key ? `${key}: ` : ""}${problem}`));
  if (config === null || problems.length > 0) throw new ConfigError(problems.join("\n"), { problems });
  return config;
}

/**
 * As `parseLlamaConfig`, but the five keys of the shape have no defaults: a model that is new must say its size. A misspelt
 * key is a problem.
 */
export function parseShaped(json: unknown, where: string): LlamaConfig {
  const keys = typeof json === "object" && json !== null ? (json as Partial<Record<string, unknown>>) : null;
  const missing = shapeKeys.filter((key) => keys !== null && (keys[key] === undefined || keys[key] === null));
  const problems = missing.map((key) => `${where}: ${key}: expected a value but received nothing`);
  if (keys !== null) misspeltKeys(keys, [], (key, problem) => problems.push(`${where}: ${key}: ${problem}`));
  if (problems.length > 0) throw new ConfigError(problems.join("\n"), { problems });
  return parseLlamaConfig(json, where);
}

/** As `parseLlamaConfig`, but calls `report(key, problem)` for each problem; the result is valid if there is none. */
export function readLlamaConfig(json: unknown, report: (key: string, problem: string) => void): LlamaConfig | null {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    report("", `expected an object with the keys of a Llama config but received ${show(json)}`);
    return null;
  }
  const fields = new Fields(json as Record<string, unknown>, report);
  const modelType = fields.oneOf("model_type", modelTypes, "llama");
  const architecture = architectures[modelType];
  const { defaults, biases } = architecture;
  const { activation, activationKey } = architecture;
  // transformers knows silu by two names.
  if (activation !== "silu" || fields.get(activationKey) !== "swish") fields.mustBe(activationKey, activation);
  fields.mustBe("attention_dropout", 0);
  refuseQuantized(fields);

  const hidden = fields.positiveInteger("hidden_size", defaults.hidden_size, MOST.size);
  const heads = fields.positiveInteger("num_attention_heads", defaults.num_attention_heads, MOST.size);
  const layers = fields.positiveInteger("num_hidden_layers", defaults.num_hidden_layers, MOST.layers);
  const maxPositions = fields.positiveInteger(
    "max_position_embeddings",
    defaults.max_position_embeddings,
    MOST.positions,
  );
  const headDim = fields.positiveInteger("head_dim", defaults.head_dim ?? Math.max(1, Math.floor(hidden / heads)));
  const vocabulary = fields.positiveInteger("vocab_size", defaults.vocab_size, MOST.size);
  // A smaller vocabulary than the published models' does not have their special tokens.
  const known = (id: number | null) => (id !== null && id >= vocabulary ? null : id);
  const config: LlamaConfig = {
    model_type: modelType,
    vocab_size: vocabulary,
    hidden_size: hidden,
    intermediate_size: fields.positiveInteger("intermediate_size", defaults.intermediate_size, MOST.size),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: readKeyValueHeads(fields, defaults.num_key_value_heads, heads),
    head_dim: headDim,
    rms_norm_eps: fields.positiveNumber("rms_norm_eps", defaults.rms_norm_eps),
    ...readRope(fields, { maxPositions, headDim, theta: defaults.rope_theta, byLayerType: architecture.gemma }),
    max_position_embeddings: maxPositions,
    tie_word_embeddings: fields.boolean("tie_word_embeddings", defaults.tie_word_embeddings),
    initializer_range: fields.numberBetween("initializer_range", 0, 1, 0.02),
    bos_token_id: fields.tokenId("bos_token_id", known(defaults.bos_token_id)),
    eos_token_id: fields.tokenIds("eos_token_id", known(defaults.eos_token_id)),
    pad_token_id: fields.tokenId("pad_token_id", known(defaults.pad_token_id)),
    ...readBias(fields, "attention_bias", biases.attention),
    ...readBias(fields, "mlp_bias", biases.mlp),
    ...readLayers(fields, architecture, layers),
    ...(architecture.gemma ? readGemma(fields) : {}),
  };
  checkHeads(config, fields);
  checkSize(config, report);
  // Lists in it are the caller's.
  return deepFreeze(structuredClone(config));
}

/** An absent or null key: the default of the architecture, and as many as there are query heads if it has none. */
function readKeyValueHeads(fields: Fields, fallback: number | null, heads: number): number {
  const isNull = fields.get("num_key_value_heads") === undefined && fields.names("num_key_value_heads");
  return fields.positiveInteger("num_key_value_heads", isNull ? heads : (fallback ?? heads), MOST.size);
}

/** A bias that the architecture has no key for cannot be true. */
function readBias<K extends "attention_bias" | "mlp_bias">(
  fields: Fields,
  key: K,
  known: boolean,
): { [k in K]?: boolean } {
  if (known) return { [key]: fields.boolean(key, false) } as { [k in K]?: boolean };
  fields.mustBe(key, false);
  return {};
}

function readGemma(fields: Fields): Pick<LlamaConfig, "query_pre_attn_scalar"> {
  fields.mustBe("use_bidirectional_attention", false);
  for (const key of ["final_logit_softcapping", "attn_logit_softcapping"]) {
    if (fields.has(key))
      fields.report(key, `expected null, the only one supported, but received ${show(fields.get(key))}`);
  }
  return { query_pre_attn_scalar: fields.positiveNumber("query_pre_attn_scalar", 256) };
}

/**
 * Keys of a config.json that change how the model is built or read: those that the reader uses. All others
 * (`_name_or_path`, `use_cache`, …) have no meaning here and are ignored.
 */
export const meaningfulKeys: readonly string[] = keysRead();

/**
 * Reports each key that is one or two letters off a meaningful one: ignoring it would make another model.
 * @param more keys that have a meaning beside a model's
 */
export function misspeltKeys(
  keys: object,
  more: readonly string[],
  report: (key: string, problem: string) => void,
): void {
  const known = [...meaningfulKeys, ...more];
  for (const key of Object.keys(keys)) {
    if (known.includes(key)) continue;
    const meant = nearestKey(key, known, 2);
    if (meant !== undefined) report(key, `unknown key; did you mean ${meant}?`);
  }
}

function keysRead(): string[] {
  const keys = new Set<string>();
  const ownKeys: ProxyHandler<{ model_type: ModelType }> = {
    getOwnPropertyDescriptor: (target, key) => {
      keys.add(String(key));
      return Reflect.getOwnPropertyDescriptor(target, key);
    },
  };
  const read = (model_type: ModelType) => {
    const config = new Proxy({ model_type }, ownKeys);
    readLlamaConfig(config, () => undefined);
  };
  for (const type of modelTypes) read(type);
  return [...keys];
}

/** Weights of fewer bits have other tensors, and mean nothing without the method that made them. */
function refuseQuantized(fields: Fields): void {
  if (!fields.has("quantization_config")) return;
  const { quant_method: method } = fields.get("quantization_config") as { quant_method?: unknown };
  const received = typeof method === "string" ? `those of ${method}` : "quantised ones";
  fields.report("quantization_config", `expected weights in fp32, bf16 or fp16 but received ${received}`);
}

/** Reports sizes that are each possible but together are no model's. */
function checkSize(config: LlamaConfig, report: (key: string, problem: string) => void): void {
  const { hidden_size: hidden, head_dim: headDim, num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const layer = hidden * (2 * headDim * (heads + kvHeads) + 3 * config.intermediate_size);
  const parameters = config.num_hidden_layers * layer + config.vocab_size * hidden;
  if (parameters <= MOST.parameters) return;
  report("", `expected a model of at most ${MOST.parameters} parameters but received sizes that come to ${parameters}`);
}

function checkHeads(config: LlamaConfig, fields: Fields): void {
  const { hidden_size: hidden, num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim } = config;
  const stated = fields.has("head_dim") || architectureOf(config).defaults.head_dim !== null;
  if (!stated && hidden % heads !== 0) {
    fields.report("hidden_size", `expected a multiple of num_attention_heads (${heads}) but received ${hidden}`);
  } else if (!isHeadDim(headDim)) {
    const origin = stated ? "" : ` (hidden_size ${hidden} / num_attention_heads ${heads})`;
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
  const { className, activation, activationKey, window } = architectureOf(config);
  return {
    architectures: [className],
    ...config,
    [activationKey]: activation,
    attention_dropout: 0,
    ...windowKeys(config, window),
    rope_parameters: ropeParameters(config),
    torch_dtype: dtype,
    dtype,
    use_cache: true,
  };
}

/** What says that a model has windows, or none where they are the default; else a continued checkpoint's keys stay. */
function windowKeys({ sliding_window: window }: LlamaConfig, rule: WindowRule): Record<string, unknown> {
  if (rule === "all") return { sliding_window: window ?? null };
  return window === undefined || rule === "pattern" ? {} : { use_sliding_window: true };
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
