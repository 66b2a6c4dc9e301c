/** The arms of a finished comparison, each with what was planned and what came of it. */
import type { ChartSeries } from "../report/page.js";
import type { Arm } from "./arm.js";
import type { Method } from "./methods.js";
import type { ArmDifferences, MethodResult } from "./readings.js";
import type { CompareReport } from "./report.js";
import type { RunResult } from "./run_result.js";

/** An arm and its result. */
export interface ReportArm {
  readonly label: string;
  readonly arm: Arm;
  readonly run: RunResult;
  /** Against the baseline; null for the baseline. */
  readonly difference: ArmDifferences | null;
}

/** A method and its result. */
export interface ReportMethod {
  readonly method: Method;
  readonly result: MethodResult;
}

/** The methods of a comparison, with the readings of each. */
export function reportMethods({ comparison, plan }: CompareReport): ReportMethod[] {
  const { patch, ratio, valLossDelta, paired, differences, equalCost, equalLoss, atBaselineRate, recipes } = comparison;
  const readings = { ratio, valLossDelta, paired, differences, equalCost, equalLoss };
  const own = { ...patch, ...readings, ...(atBaselineRate && { atBaselineRate }) };
  return plan.methods.map((method) => ({ method, result: recipes === undefined ? own : recipes[method.key]! }));
}

/** The arms of a comparison, each once, the sweep's last. */
export function reportArms(report: CompareReport): ReportArm[] {
  const { comparison, plan } = report;
  const found = new Map<Arm, ReportArm>();
  const add = (arm: Arm | null, run: (RunResult & ArmDifferences) | null | undefined) => {
    if (arm && run && !found.has(arm)) found.set(arm, { label: arm.label, arm, run, difference: run });
  };
  for (const { method, result } of reportMethods(report)) {
    add(method.run, result);
    add(method.equalCost, result.equalCost);
    add(method.atBaselineRate, result.atBaselineRate);
  }
  for (const [index, arm] of plan.sweep.entries()) add(arm, comparison.sweep?.[index]);
  const { baseline: arm } = plan;
  return [{ label: arm.label, arm, run: comparison.baseline, difference: null }, ...found.values()];
}

const colors = ["blue", "orange", "green", "purple", "grey"] as const;

/** The arms that are drawn as curves: the sweep's and those at another rate would be too many lines. */
export function drawnArms(report: CompareReport): (ReportArm & { readonly color: ChartSeries["color"] })[] {
  const drawn = new Set<Arm | null>(report.plan.methods.flatMap(({ run, equalCost }) => [run, equalCost]));
  return reportArms(report)
    .filter(({ arm, difference }) => difference === null || drawn.has(arm))
    .map((each, index) => ({ ...each, color: colors[index % colors.length]! }));
}
