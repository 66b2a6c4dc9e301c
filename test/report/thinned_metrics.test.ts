import { describe, expect, it } from "@jest/globals";
import type { MetricsLine } from "../../lib/report/metrics.js";
import { ThinnedMetrics } from "../../lib/report/thinned_metrics.js";
import { madeLine } from "../support/made_lines.js";

const line = (step: number, stage: number, valLoss?: number): MetricsLine =>
  madeLine(step, { stage, ...(valLoss !== undefined && { valLoss }) });

/** Adds the lines of a run whose stages end after these steps, evaluated every so many steps. */
function thinned(ends: readonly number[], everyEvaluation: number): ThinnedMetrics {
  const metrics = new ThinnedMetrics();
  for (let step = 1; step <= ends.at(-1)!; step++) {
    const stage = ends.findIndex((end) => step <= end);
    metrics.add(line(step, stage, step % everyEvaluation === 0 ? step : undefined));
  }
  return metrics;
}
const stepsOf = (metrics: ThinnedMetrics) => metrics.lines.map(({ step }) => step);
const read = (metrics: ThinnedMetrics, until: number) =>
  ThinnedMetrics.fromJson(JSON.parse(JSON.stringify(metrics)), until);

describe("thinned metrics", () => {
  it("are all lines of a short run, without what no page shows", () => {
    const metrics = thinned([400, 900], 7);
    expect(stepsOf(metrics)).toEqual(Array.from({ length: 900 }, (_, index) => index + 1));
    expect(metrics.every).toBe(1);
    metrics.add({
      ...line(901, 1),
      energy: 3,
      time: { data: 0, embedding: 0, transformer: 0, head: 0, optimizer: 0, idle: 0 },
    });
    expect(metrics.lines.at(-1)).toEqual(line(901, 1));
  });

  it.each([50, 3, 1])("are few of a long run, evaluated every %d steps: its ends among them", (everyEvaluation) => {
    const metrics = thinned([20_000, 100_001], everyEvaluation);
    const steps = stepsOf(metrics);
    expect(steps.length).toBeLessThanOrEqual(1002);
    expect(steps.length).toBeGreaterThan(450);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    const lastEvaluated = (end: number) => end - (end % everyEvaluation);
    expect(steps).toEqual(expect.arrayContaining([1, lastEvaluated(20_000), 20_000, lastEvaluated(100_001), 100_001]));
    const evaluations = metrics.lines.filter(({ valLoss }) => valLoss !== undefined);
    expect(evaluations.length).toBeGreaterThan(200);
    // Neither kind leaves a hole.
    for (const { every, of } of [
      { every: metrics.every, of: steps },
      { every: 1024, of: evaluations.map((e) => e.step) },
    ]) {
      for (const [index, step] of of.slice(1).entries()) expect(step - of[index]!).toBeLessThanOrEqual(every);
    }
  });

  it("keep every evaluation of a run of few", () => {
    const evaluations = thinned([10_000], 1000).lines.filter(({ valLoss }) => valLoss !== undefined);
    expect(evaluations.map(({ step }) => step)).toEqual(Array.from({ length: 10 }, (_, index) => 1000 * (index + 1)));
  });

  it("go on after they were written and read, up to any step", () => {
    const whole = thinned([600, 9000], 7);
    const again = read(whole, 9000)!;
    expect([again.lines, again.every]).toEqual([whole.lines, whole.every]);
    const cut = read(whole, 500)!;
    expect(cut.lines).toEqual(whole.lines.filter(({ step }) => step <= 500));
    for (let step = 501; step <= 700; step++) cut.add(line(step, step <= 600 ? 0 : 1));
    expect(stepsOf(cut)).toEqual(expect.arrayContaining([600, 700]));
    expect(read(new ThinnedMetrics(), 0)!.lines).toEqual([]);
  });

  it("keep a loss that diverged", () => {
    const metrics = new ThinnedMetrics();
    metrics.add({ ...line(1, 0), loss: Number.NaN });
    expect(read(metrics, 1)!.lines[0]!.loss).toBeNaN();
  });

  it.each([null, [], "x", { every: 0, everyEvaluation: 1, lines: [] }, { every: 1, everyEvaluation: 1, lines: [{}] }])(
    "are not read from %j",
    (json) => expect(ThinnedMetrics.fromJson(json, 9)).toBeNull(),
  );
});
