/** The checks between keys of a config of which some sections are wrong: those of the sections that are right. */
import type { z } from "zod";
import type { LlamaConfig } from "../hf/llama_config.js";
import { nearestKey } from "../nearest.js";
import { checkConfig, type Section } from "./checks.js";
import { runConfigSchema } from "./schema.js";

/** What stands for a required section that is wrong. */
const placeholders = {
  name: "name",
  data: { train: "train" },
  batch: { tokensPerStep: 2, sequenceLength: 2 },
  train: { steps: 1 },
};

/**
 * Reports every conflict between well-formed sections.
 * @param value with its recipe expanded
 * @param issues what is wrong with it
 */
export function checkRest(
  value: unknown,
  issues: readonly z.core.$ZodIssue[],
  model: LlamaConfig | null,
  report: (problem: string) => void,
): void {
  const wrong = new Set(issues.flatMap(sectionsOf));
  if (wrong.has("recipe")) for (const key of ["stages", "schedule", "keepOptimizer", "batch"]) wrong.add(key);
  const rest = Object.fromEntries(Object.entries(value ?? {}).filter(([key]) => !wrong.has(key)));
  const missing = Object.entries(placeholders).filter(([key]) => wrong.has(key));
  const result = runConfigSchema.safeParse({ ...Object.fromEntries(missing), ...rest });
  if (result.success) checkConfig(result.data, model, report, wrong as ReadonlySet<Section>);
}

/** The sections that an issue leaves unknown: the one it is in, or the ones that unknown keys were meant to be. */
function sectionsOf(issue: z.core.$ZodIssue): string[] {
  const [section] = issue.path;
  if (section !== undefined) return [String(section)];
  if (issue.code !== "unrecognized_keys") return [];
  return issue.keys.flatMap((key) => [key, nearestKey(key, Object.keys(runConfigSchema.shape)) ?? key]);
}
