/**
 * Rotary position embedding: reading its settings and computing its frequencies.
 * Source: transformers 5.17, modeling_rope_utils.py (`convert_rope_params_to_dict`, `ROPE_INIT_FUNCTIONS`).
 */
import { show } from "../arguments.js";
import type { Fields } from "./fields.js";
import type { LlamaConfig, RopeScaling } from "./llama_config.js";

/**
 * Reads `rope_theta` and `rope_scaling` (transformers 4) or `rope_parameters` (transformers 5) with transformers'
 * precedence: a `rope_scaling` over `rope_parameters`, a `rope_theta` inside either over one beside it.
 */
export function readRope(fields: Fields, maxPositions: number): Pick<LlamaConfig, "rope_theta" | "rope_scaling"> {
  const outerTheta = fields.positiveNumber("rope_theta", 10000);
  const parameters = fields.nested("rope_scaling") ?? fields.nested("rope_parameters");
  fields.mustBe("partial_rotary_factor", 1);
  if (parameters === undefined) return { rope_theta: outerTheta, rope_scaling: null };
  parameters.mustBe("partial_rotary_factor", 1);
  return {
    rope_theta: parameters.positiveNumber("rope_theta", outerTheta),
    rope_scaling: readScaling(parameters, maxPositions),
  };
}

function readScaling(parameters: Fields, maxPositions: number): RopeScaling | null {
  // "type" is what transformers called "rope_type" before 4.43.
  const key = parameters.has("rope_type") ? "rope_type" : "type";
  const type = parameters.get(key) ?? "default";
  switch (type) {
    case "default":
      return null;
    case "linear":
      return { rope_type: "linear", factor: parameters.requiredPositiveNumber("factor") };
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
        original_max_position_embeddings: parameters.positiveInteger("original_max_position_embeddings", maxPositions),
      };
    }
    default:
      parameters.fail(key, `expected "default", "linear" or "llama3" but received ${show(type)}`);
      return null;
  }
}

/**
 * The rotary frequencies in radians per position, fp32 [head_dim / 2]: dimension pair i rotates by `result[i]` from one
 * position to the next. Each step is computed in double and rounded to fp32, as transformers rounds it: a phase is
 * position times frequency, so the error of a frequency one bit off would grow with the position.
 */
export function ropeInverseFrequencies(config: LlamaConfig): Float32Array {
  const { head_dim: headDim, rope_theta: theta, rope_scaling: scaling } = config;
  return Float32Array.from({ length: headDim / 2 }, (_, pair) => {
    const base = 1 / Math.fround(theta ** Math.fround((2 * pair) / headDim));
    return scaling === null ? base : scaleFrequency(Math.fround(base), scaling);
  });
}

function scaleFrequency(frequency: number, scaling: RopeScaling): number {
  if (scaling.rope_type === "linear") return frequency / scaling.factor;
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
