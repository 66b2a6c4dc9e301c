/** The stages of the staged runs: what each comes to, and where it ends on the run's curve. */
import { formatCount } from "../report/format.js";
import type { Arm } from "./arm.js";
import type { CompareReport } from "./report.js";
import { reportMethods } from "./report_arms.js";
import type { CurvePoint, RunResult } from "./run_result.js";
import type { Table } from "./table.js";

/** The boundary between two stages of a run. */
export interface StageEnd {
  /** K before and after it. */
  readonly patchSize: number;
  readonly next: number;
  /** Each stage ends with an evaluation. */
  readonly point: CurvePoint;
}

/** The end of every stage but the last. */
export function stageEnds({ stages }: Pick<Arm, "stages">, { curve }: Pick<RunResult, "curve">): StageEnd[] {
  let tokens = 0;
  return stages.slice(0, -1).flatMap((stage, index) => {
    tokens += stage.tokens;
    const point = curve.find((each) => each.tokens === tokens);
    return point === undefined ? [] : [{ patchSize: stage.patchSize, next: stages[index + 1]!.patchSize, point }];
  });
}

/** A row for every stage of the staged runs and of those at equal cost. */
export function stageTable(report: CompareReport): Table {
  const { baseline } = report.comparison;
  const runs = reportMethods(report).flatMap(({ method, result }) => [
    { label: method.run.label, run: result },
    ...(result.equalCost === null || method.equalCost === method.run
      ? []
      : [{ label: method.equalCost!.label, run: result.equalCost }]),
  ]);
  return {
    headings: ["Stage of", "K", "Steps", "Tokens", "FLOP", "FLOP ×"],
    rows: runs.flatMap(({ label, run }) =>
      run.stages.map(({ patchSize, steps, tokens, flops }) => [
        label,
        String(patchSize),
        String(steps),
        formatCount(tokens),
        formatCount(flops),
        (flops / baseline.flops).toFixed(4),
      ]),
    ),
  };
}
