/** The input of a comparison's pages. */
import type { RunConfig } from "../config/config.js";
import type { ComparisonPlan } from "./plan.js";
import type { Comparison } from "./readings.js";

/** A finished comparison with everything its pages show. */
export interface CompareReport {
  readonly comparison: Comparison;
  readonly plan: ComparisonPlan;
  readonly config: RunConfig;
}
