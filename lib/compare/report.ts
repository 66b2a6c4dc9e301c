/** What the pages of a comparison are made from. */
import type { RunConfig } from "../config/config.js";
import type { Environment } from "./environment.js";
import type { ComparisonPlan } from "./plan.js";
import type { Comparison } from "./readings.js";

/** A finished comparison with what a page about it tells. */
export interface CompareReport {
  readonly comparison: Comparison;
  readonly plan: ComparisonPlan;
  readonly config: RunConfig;
  /** Of every arm, in the plan's order, as it was when the arm began. */
  readonly environments: readonly Environment[];
}
