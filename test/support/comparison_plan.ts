import { type ComparisonPlan, makePlan, type PlanOptions, readFacts } from "../../lib/compare/plan.js";
import type { RunConfig } from "../../lib/config/config.js";

/** Opens a config's data, and plans a comparison of it. */
export async function planComparison(config: RunConfig, options: PlanOptions = {}): Promise<ComparisonPlan> {
  return makePlan(config, await readFacts(config, options), options);
}
