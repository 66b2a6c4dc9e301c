/** The model section of a run config: a preset, the keys of a Hugging Face config, or both. */

import { show } from "../arguments.js";
import { misspeltKeys, readLlamaConfig } from "../hf/config.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { type PresetName, presetNames, presets, shapeKeys } from "../hf/presets.js";
import { nearestKey } from "../nearest.js";

/**
 * Reads the section. Keys of a config.json that have no meaning here are ignored, so that a whole one can be pasted.
 * A misspelt one is a problem.
 */
export function readModelSection(
  section: Readonly<Record<string, unknown>>,
  report: (key: string, problem: string) => void,
): LlamaConfig | null {
  const { preset, ...keys } = section;
  const base = preset === undefined ? {} : presetKeys(preset, report);
  if (base === undefined) return null;
  misspeltKeys(keys, ["preset"], report);
  const merged: Record<string, unknown> = { ...base, ...keys };
  for (const key of shapeKeys) {
    if (merged[key] === undefined || merged[key] === null)
      report(key, "expected a value, unless a preset is named, but received nothing");
  }
  return readLlamaConfig(merged, report);
}

function presetKeys(preset: unknown, report: (key: string, problem: string) => void) {
  if (presetNames.includes(preset as PresetName)) return presets[preset as PresetName];
  const nearest = typeof preset === "string" ? nearestKey(preset, presetNames) : undefined;
  const hint = nearest === undefined ? "" : `; did you mean ${nearest}?`;
  report("preset", `expected one of ${presetNames.join(", ")} but received ${show(preset)}${hint}`);
  return undefined;
}
