/**
 * Rotary position embedding: reading its settings and computing its frequencies.
 * Source: transformers 5.17, modeling_rope_utils.py (`convert_rope_params_to_dict`, `ROPE_INIT_FUNCTIONS`).
 */
import type { Fields } from "./fields.js";
import type { LlamaConfig, LongRopeScaling, RopeScaling, YarnRopeScaling } from "./llama_config.js";

/** What the settings depend on. */
interface RopeContext {
  readonly maxPositions: number;
  readonly headDim: number;
  /** The architecture's default. */
  readonly theta: number;
  /** Whether sliding layers have settings of their own (Gemma 3's). */
  readonly byLayerType: boolean;
}

/**
 * Reads `rope_theta` and `rope_scaling` (transformers 4) or `rope_parameters` (transformers 5) with transformers'
 * precedence: a `rope_scaling` over `rope_parameters`, a `rope_theta` inside either over one beside it.
 */
export function readRope(
  fields: Fields,
  context: RopeContext,
): Pick<LlamaConfig, "rope_theta" | "rope_scaling" | "rope_local_base_freq"> {
  const outerTheta = fields.positiveNumber("rope_theta", context.theta);
  fields.mustBe("partial_rotary_factor", 1);
  const given = fields.nested("rope_parameters");
  // By type of layer if it names one; older files have one for all.
  const byType = context.byLayerType && (given?.has("full_attention") || given?.has("sliding_attention"));
  const parameters = fields.nested("rope_scaling") ?? (byType ? given?.nested("full_attention") : given);
  parameters?.mustBe("partial_rotary_factor", 1);
  return {
    rope_theta: parameters?.positiveNumber("rope_theta", outerTheta) ?? outerTheta,
    rope_scaling: parameters === undefined ? null : readScaling(fields, parameters, context),
    ...(context.byLayerType ? { rope_local_base_freq: readLocal(fields, byType ? given : undefined) } : {}),
  };
}

/** `rope_theta` of the layers with a window, which cannot be scaled. */
function readLocal(fields: Fields, byType: Fields | undefined): number {
  const outer = fields.positiveNumber("rope_local_base_freq", 10000);
  const local = byType?.nested("sliding_attention");
  local?.mustBe("rope_type", "default");
  return local?.positiveNumber("rope_theta", outer) ?? outer;
}

const ropeTypes = ["default", "linear", "dynamic", "yarn", "longrope", "llama3"] as const;

function readScaling(fields: Fields, parameters: Fields, { maxPositions, headDim }: RopeContext): RopeScaling | null {
  // "type" is what transformers called "rope_type" before 4.43.
  const type = parameters.oneOf(parameters.has("rope_type") ? "rope_type" : "type", ropeTypes, "default");
  /** Some checkpoints, such as Phi 3's, have it beside the others, where it counts first. */
  const original = (): number => {
    const inner = parameters.positiveInteger("original_max_position_embeddings", maxPositions);
    return fields.positiveInteger("original_max_position_embeddings", inner);
  };
  switch (type) {
    case "default":
      return null;
    case "linear":
    case "dynamic":
      return { rope_type: type, factor: parameters.requiredPositiveNumber("factor") };
    case "llama3": {
      const low = parameters.requiredPositiveNumber("low_freq_factor");
      const high = parameters.requiredPositiveNumber("high_freq_factor");
      if (parameters.has("low_freq_factor") && parameters.has("high_freq_factor") && high <= low) {
        parameters.fail("high_freq_factor", `expected more than low_freq_factor (${low}) but received ${high}`);
      }
      return {
        rope_type: "llama3",
        factor: parameters.requiredPositiveNumber("factor"),
        low_freq_factor: low,
        high_freq_factor: high,
        original_max_position_embeddings: original(),
      };
    }
    case "yarn": {
      const context = original();
      return {
        rope_type: "yarn",
        factor: parameters.positiveNumber("factor", maxPositions / context),
        original_max_position_embeddings: context,
        ...optionalNumbers(parameters, ["attention_factor", "mscale", "mscale_all_dim"]),
        beta_fast: parameters.positiveNumber("beta_fast", 32),
        beta_slow: parameters.positiveNumber("beta_slow", 1),
        truncate: parameters.boolean("truncate", true),
      };
    }
    case "longrope":
      return {
        rope_type: "longrope",
        short_factor: parameters.requiredPositiveNumbers("short_factor", headDim / 2),
        long_factor: parameters.requiredPositiveNumbers("long_factor", headDim / 2),
        original_max_position_embeddings: original(),
        ...optionalNumbers(parameters, ["factor", "attention_factor"]),
      };
  }
}

/** Those of the keys that are there; 0 counts as absent, as in Python. */
function optionalNumbers<K extends string>(fields: Fields, keys: readonly K[]): { [k in K]?: number } {
  const there = keys.filter((key) => fields.has(key) && fields.get(key) !== 0);
  return Object.fromEntries(there.map((key) => [key, fields.positiveNumber(key, 1)])) as { [k in K]?: number };
}

/** The `rope_parameters` of a config.json, as transformers 5 reads them. */
export function ropeParameters(config: LlamaConfig): Record<string, unknown> {
  const { rope_theta, rope_scaling, rope_local_base_freq: local } = config;
  const global = { rope_type: "default", ...rope_scaling, rope_theta };
  if (local === undefined) return global;
  return { full_attention: global, sliding_attention: { rope_type: "default", rope_theta: local } };
}

/** A rotary table: the angle per position of each pair of dimensions, and what cosines and sines are multiplied by. */
export interface RotaryAngles {
  /** f32 [head_dim / 2], in radians. */
  readonly frequencies: Float32Array;
  readonly scale: number;
}

/**
 * The rotary tables of a model: the one of its layers, and that of its sliding layers if they have one of their own.
 * @param positions how many positions a sequence has: LongRoPE takes other frequencies beyond the original context
 */
export function rotaryAngles(
  config: LlamaConfig,
  positions: number,
): { global: RotaryAngles; local: RotaryAngles | null } {
  const { rope_local_base_freq: local } = config;
  return {
    global: { frequencies: ropeInverseFrequencies(config, positions), scale: ropeAttentionFactor(config) },
    local:
      local === undefined
        ? null
        : { frequencies: ropeInverseFrequencies({ ...config, rope_theta: local, rope_scaling: null }), scale: 1 },
  };
}

/** What cosines and sines are multiplied by. */
export function ropeAttentionFactor(config: LlamaConfig): number {
  const { rope_scaling: scaling } = config;
  if (scaling?.rope_type !== "yarn" && scaling?.rope_type !== "longrope") return 1;
  if (scaling.attention_factor !== undefined) return scaling.attention_factor;
  if (scaling.rope_type === "longrope") {
    const original = scaling.original_max_position_embeddings;
    const factor = scaling.factor ?? config.max_position_embeddings / original;
    return factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
  }
  const { factor, mscale, mscale_all_dim: all } = scaling;
  const of = (m: number) => (factor <= 1 ? 1 : 0.1 * m * Math.log(factor) + 1);
  return mscale !== undefined && all !== undefined ? of(mscale) / of(all) : of(1);
}

/**
 * The rotary frequencies in radians per position, fp32 [head_dim / 2]: dimension pair i rotates by `result[i]` from one
 * position to the next. Each step is computed in double and rounded to fp32, as transformers rounds it: a phase is
 * position times frequency, so the error of a frequency one bit off would grow with the position.
 * @param positions of a sequence, for LongRoPE
 */
export function ropeInverseFrequencies(config: LlamaConfig, positions = 0): Float32Array {
  const { head_dim: headDim, rope_theta: theta, rope_scaling: scaling } = config;
  const power = (pair: number) => Math.fround(theta ** Math.fround((2 * pair) / headDim));
  if (scaling?.rope_type === "yarn") return yarnFrequencies(scaling, theta, headDim, power);
  const factors = scaling?.rope_type === "longrope" ? longRopeFactors(scaling, positions) : null;
  return Float32Array.from({ length: headDim / 2 }, (_, pair) => {
    if (factors !== null) return 1 / Math.fround(Math.fround(factors[pair]!) * power(pair));
    const base = 1 / power(pair);
    return scaling === null ? base : scaleFrequency(Math.fround(base), scaling);
  });
}

function longRopeFactors(scaling: LongRopeScaling, positions: number): readonly number[] {
  return positions > scaling.original_max_position_embeddings ? scaling.long_factor : scaling.short_factor;
}

function yarnFrequencies(
  scaling: YarnRopeScaling,
  theta: number,
  headDim: number,
  power: (pair: number) => number,
): Float32Array {
  const { factor, original_max_position_embeddings: context, beta_fast, beta_slow, truncate } = scaling;
  const dimensionOf = (turns: number) => (headDim * Math.log(context / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [from, to] = [dimensionOf(beta_fast), dimensionOf(beta_slow)];
  const low = Math.max(truncate ? Math.floor(from) : from, 0);
  const high = Math.min(truncate ? Math.ceil(to) : to, headDim - 1);
  const span = Math.fround(low === high ? 0.001 : high - low);
  const { fround } = Math;
  return Float32Array.from({ length: headDim / 2 }, (_, pair) => {
    const ramp = Math.min(Math.max(fround(fround(pair - fround(low)) / span), 0), 1);
    const kept = fround(1 - ramp);
    const [plain, stretched] = [fround(1 / power(pair)), fround(1 / fround(fround(factor) * power(pair)))];
    return fround(stretched * fround(1 - kept)) + fround(plain * kept);
  });
}

function scaleFrequency(frequency: number, scaling: RopeScaling): number {
  if (scaling.rope_type === "linear") return frequency / scaling.factor;
  if (scaling.rope_type !== "llama3") return frequency; // dynamic: changes only beyond the context
  const { factor, low_freq_factor: low, high_freq_factor: high } = scaling;
  const context = scaling.original_max_position_embeddings;
  // PyTorch divides a number by a tensor as the number times the tensor's reciprocal.
  const wavelength = Math.fround(Math.fround(1 / frequency) * Math.fround(2 * Math.PI));
  if (wavelength < context / high) return frequency;
  if (wavelength > context / low) return frequency / factor;
  const waves = Math.fround(Math.fround(1 / wavelength) * context);
  const smooth = Math.fround(Math.fround(waves - low) / (high - low));
  const stretched = Math.fround(Math.fround(Math.fround(1 - smooth) * frequency) / factor);
  return stretched + Math.fround(smooth * frequency);
}
