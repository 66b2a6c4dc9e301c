/** Which layers of a model have a sliding window, and which have no rotary embedding, as its config says. */
import { show } from "../arguments.js";
import type { Architecture } from "./architectures.js";
import type { Fields } from "./fields.js";
import type { LayerType, LlamaConfig } from "./llama_config.js";

type Layers = Pick<LlamaConfig, "sliding_window" | "layer_types" | "no_rope_layers">;

/** Reads the keys that an architecture has for it. @param layers `num_hidden_layers` */
export function readLayers(fields: Fields, { window: rule }: Architecture, layers: number): Layers {
  const turned = rule === "unrotated" ? readTurned(fields, layers) : undefined;
  const own = turned === undefined ? {} : { no_rope_layers: turned };
  if (rule === "never") return own;
  const slides = rule === "all" || rule === "pattern" || fields.boolean("use_sliding_window", false);
  const window = slides ? fields.countOrNull("sliding_window", rule === "unrotated" ? null : 4096) : null;
  if (window === null) return own;
  const types = readTypes(fields, layers) ?? typesByRule(fields, rule, layers, turned);
  return types.includes("sliding_attention") ? { ...own, sliding_window: window, layer_types: types } : own;
}

function typesByRule(
  fields: Fields,
  rule: "all" | "upper" | "unrotated" | "pattern",
  layers: number,
  turned: readonly number[] | undefined,
): LayerType[] {
  const first = rule === "upper" ? fields.wholeNumber("max_window_layers", 28) : 0;
  const pattern = rule === "pattern" ? fields.positiveInteger("sliding_window_pattern", 6) : 0;
  const slides = (index: number): boolean => {
    switch (rule) {
      case "all":
        return true;
      case "upper":
        return index >= first;
      case "unrotated":
        return turned?.[index] === 0;
      case "pattern":
        return (index + 1) % pattern !== 0;
    }
  };
  return Array.from({ length: layers }, (_, index) => (slides(index) ? "sliding_attention" : "full_attention"));
}

function readTypes(fields: Fields, layers: number): readonly LayerType[] | undefined {
  const value = fields.get("layer_types");
  if (value === undefined) return undefined;
  const isType = (type: unknown) => type === "full_attention" || type === "sliding_attention";
  if (Array.isArray(value) && value.length === layers && value.every(isType)) return value as LayerType[];
  const expected = `"full_attention" or "sliding_attention" for each of the ${layers} layers`;
  fields.fail("layer_types", `expected ${expected} but received ${show(value)}`);
  return undefined;
}

/** 1 for each layer with rotary embedding, else 0. */
function readTurned(fields: Fields, layers: number): readonly number[] {
  const interval = fields.positiveInteger("no_rope_layer_interval", 4);
  const value = fields.get("no_rope_layers");
  if (value !== undefined) {
    const isFlag = (flag: unknown) => flag === 0 || flag === 1;
    if (Array.isArray(value) && value.length >= layers && value.every(isFlag))
      return value.slice(0, layers) as number[];
    fields.fail("no_rope_layers", `expected 0 or 1 for each of the ${layers} layers but received ${show(value)}`);
  }
  return Array.from({ length: layers }, (_, index) => ((index + 1) % interval === 0 ? 0 : 1));
}
