/** The stages of the staged runs: what each comes to, and where it ends on the run's curve. */
import { formatCount } from "../report/format.js";
import type { Arm } from "./plan.js";
import type { CurvePoint, RunResult } from "./readings.js";
import type { CompareReport } from "./report.js";

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

/** A row for every stage of the staged run and of that at equal cost. */
export function stageTable({ comparison, plan }: CompareReport): { headings: string[]; rows: string[][] } {
  const { baseline, patch, equalCost } = comparison;
  const runs = [
    { label: plan.patch.label, run: patch },
    ...(equalCost === null ? [] : [{ label: plan.equalCost!.label, run: equalCost }]),
  ];
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
