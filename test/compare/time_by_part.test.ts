/** Time by part, from made-up seconds that can be checked by hand. */
import { describe, expect, it } from "@jest/globals";
import type { CompareReport } from "../../lib/compare/report.js";
import type { RunResult } from "../../lib/compare/run_result.js";
import { partCosts, timeTable } from "../../lib/compare/time_by_part.js";
import type { TimeByPart } from "../../lib/report/metrics.js";
import { madeComparison, madeRun, madeStaged } from "../support/made_results.js";

type Input = Pick<CompareReport, "comparison" | "plan">;

function made(flops: number, time: TimeByPart): RunResult {
  const seconds = Object.values(time).reduce((sum, part) => sum + part, 0);
  return madeRun([{ tokens: 1000, flops, seconds, valLoss: 3 }], { time });
}

/** A hundred seconds of token-level training, and those of a staged run at half the FLOPs. */
const baseline: TimeByPart = { data: 2, embedding: 4, transformer: 70, head: 16, optimizer: 8, idle: 0 };

function report(staged: Partial<TimeByPart>): CompareReport {
  const patch = madeStaged(made(500, { ...baseline, transformer: 35, head: 8, ...staged }));
  const input = {
    comparison: madeComparison(made(1000, baseline), { patch: { run: patch } }),
    plan: {
      baseline: { label: "token-level", partFlops: { embedding: 40, transformer: 700, head: 300 } },
      patch: { label: "K = 4", partFlops: { embedding: 40, transformer: 343, head: 150 } },
    },
  } as unknown as Input;
  return input as CompareReport;
}

describe("the time by part", () => {
  it("stands beside the part's FLOPs where it has any", () => {
    expect(timeTable(report({ head: 9, idle: 1 }))).toMatchObject({
      headings: ["Part", "token-level", "K = 4", "Time ×", "FLOP ×", "Gap"],
      rows: [
        ["data", "2.00 s", "2.00 s", "1.0000", "–", "+0.010"],
        ["embedding", "4.00 s", "4.00 s", "1.0000", "1.0000", "+0.020"],
        ["transformer", "1 min 10 s", "35.0 s", "0.5000", "0.4900", "0.000"],
        ["head and loss", "16.0 s", "9.00 s", "0.5625", "0.5000", "+0.010"],
        ["optimizer", "8.00 s", "8.00 s", "1.0000", "–", "+0.040"],
        ["idle", "0.00 s", "1.00 s", "–", "–", "+0.010"],
        ["whole step", "1 min 40 s", "59.0 s", "0.5900", "0.5000", "+0.090"],
      ],
    });
  });

  it("adds up to what lies between the ratio in seconds and the ratio in FLOPs", () => {
    for (const staged of [{}, { head: 9, idle: 1 }, { transformer: 20 }]) {
      const input = report(staged);
      const { ratio } = input.comparison;
      const sum = partCosts(input)!.reduce((total, { gap }) => total + gap, 0);
      expect(sum).toBeCloseTo(ratio.seconds! - ratio.flops, 12);
    }
  });
});

it("has no time by part where a run's was measured elsewhere", () => {
  const { comparison, plan } = report({});
  const elsewhere = { comparison: { ...comparison, patch: { ...comparison.patch, seconds: null, time: null } }, plan };
  expect(partCosts(elsewhere)).toBeNull();
  expect(timeTable(elsewhere as CompareReport)).toBeNull();
});

describe("the finding", () => {
  it("names the parts that keep the ratio up, the largest first, and those that lower it", () => {
    expect(timeTable(report({ transformer: 34 }))!.finding).toBe(
      "Training takes 0.560× of the time for 0.500× of the FLOPs, a gap of +0.060. Parts that take more than 0.500× " +
        "of their token-level time: optimizer (+0.040), embedding (+0.020), data (+0.010). Parts that take less: " +
        "transformer (−0.010).",
    );
  });

  it("names none where the numbers show none", () => {
    const halved = { data: 1, embedding: 2, optimizer: 4 };
    expect(timeTable(report(halved))!.finding).toBe(
      "Training takes 0.500× of the time for 0.500× of the FLOPs, a gap of 0.000. No part takes more than 0.500× " +
        "of its token-level time.",
    );
    // What rounds to nothing is not named.
    expect(timeTable(report({ ...halved, embedding: 2.04 }))!.finding).toMatch(
      /No part takes more than 0\.500× of its /,
    );
  });
});
