/** The first paragraph of a comparison, and the words that stand for intervals, from numbers that are made up. */
import { beforeEach, describe, expect, it } from "@jest/globals";
import { answer } from "../../lib/compare/answer.js";
import { readings } from "../../lib/compare/figures.js";
import { formatDifference, intervalText } from "../../lib/compare/format.js";
import { renderMarkdown, summary } from "../../lib/compare/markdown.js";
import { renderComparison } from "../../lib/compare/page.js";
import { makePlan, readFacts } from "../../lib/compare/plan.js";
import type { MethodArms, Results, StagedResult } from "../../lib/compare/readings.js";
import type { CompareReport } from "../../lib/compare/report.js";
import { reportMethods } from "../../lib/compare/report_arms.js";
import { tinyConfig, writeTinyData } from "../support/made_comparison.js";
import { madeComparison, madeRun, madeStaged } from "../support/made_results.js";
import { withPlainCells } from "../support/plain_cells.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

/** An arm of 23100 tokens (231 for each of 100 parameters) whose runs end at these losses. */
const made = (finals: readonly number[], flops = 100): StagedResult => {
  const curve = [
    { tokens: 11550, flops: flops / 2, seconds: flops / 4, valLoss: 5 },
    { tokens: 23100, flops, seconds: flops / 2, valLoss: finals[0]! },
  ];
  return madeStaged(madeRun(curve, { finals }));
};

/** The losses of five seeds: token-level, and patches of two, which are neither ahead nor behind. */
const five = [1.894, 1.925, 1.906, 1.938, 1.877];
const even = [1.891, 1.889, 1.893, 1.885, 1.898];
const ahead = five.map((loss, index) => loss - 0.02 - index * 1e-3);
const behind = five.map((loss, index) => loss + 0.03 + index * 1e-3);

type Methods = Readonly<Record<string, Partial<MethodArms> & Pick<MethodArms, "run">>>;

function reportOf(finals: readonly number[], methods: Methods, more: Partial<Results> = {}): CompareReport {
  const comparison = madeComparison(made(finals), methods, more);
  const planned = Object.entries(methods).map(([key, { run, equalCost = null }]) => {
    const arm = { label: key };
    return { key, label: key, run: arm, equalCost: run === equalCost ? arm : equalCost && { label: `${key}, longer` } };
  });
  return { comparison, plan: { methods: planned } } as unknown as CompareReport;
}
const equal = (finals: readonly number[]) => {
  const run = made(finals);
  return { run, equalCost: run };
};

describe("the answer", () => {
  it("is yes where the interval is below 0", () => {
    expect(answer(reportOf(five, { superposition: equal(ahead) }))).toBe(
      "Does training in patches pay here? Yes. At equal cost and 231 tokens per parameter, superposition is ahead of token-level training by 0.0220 nats " +
        "per token (95% interval 0.0200 to 0.0240, 5 seeds).",
    );
  });

  it("is no where it is above 0", () => {
    expect(answer(reportOf(five, { superposition: equal(behind) }))).toBe(
      "Does training in patches pay here? No. At equal cost and 231 tokens per parameter, superposition is behind token-level training by 0.0320 nats per " +
        "token (95% interval 0.0300 to 0.0340, 5 seeds).",
    );
  });

  it("is that no difference is seen where the interval has 0 in it", () => {
    expect(answer(reportOf(five, { superposition: equal(even) }))).toBe(
      "Does training in patches pay here? Undecided by these seeds; more make the interval narrower. At equal cost and 231 tokens per parameter, no difference seen between superposition and " +
        "token-level training: −0.0168 nats per token (95% interval −0.0525 to +0.0189, 5 seeds).",
    );
  });

  it("is that one seed shows nothing, whatever it shows", () => {
    expect(answer(reportOf([1.894], { superposition: equal([1.5]) }))).toBe(
      "Does training in patches pay here? One seed shows nothing. At equal cost and 231 tokens per parameter, superposition ended 0.3940 nats per token " +
        "below token-level training. Another seed may reverse this: --seeds 1,2,3 gives an interval.",
    );
  });

  it("puts the best of several recipes first, and says what the best of several is worth", () => {
    const run = made(behind, 50);
    const methods = { paper: { run, equalCost: made(behind) }, superposition: equal(ahead) };
    expect(answer(reportOf(five, methods))).toBe(
      "Does training in patches pay here? Yes. At equal cost and 231 tokens per parameter, superposition is ahead of token-level training by 0.0220 nats " +
        "per token (95% interval 0.0200 to 0.0240, 5 seeds). Paper is behind by 0.0320 (95% interval 0.0300 to 0.0340, " +
        "5 seeds). Each interval is for one recipe alone: the best of several looks better than it is.",
    );
    const [first, second] = [equal([1.9]), equal([1.8])];
    expect(answer(reportOf([1.85], { paper: first, superposition: second }))).toMatch(
      /superposition ended 0\.0500 nats per token below token-level training\. Paper ended 0\.0500 above it\. Another/,
    );
    const undecided = answer(reportOf(five, { paper: equal(even), superposition: equal(ahead) }));
    expect(undecided).toMatch(
      / No difference seen for paper: −0\.0168 \(95% interval −0\.0525 to \+0\.0189, 5 seeds\)\./,
    );
  });

  it("is none at equal data, which decides nothing", () => {
    expect(answer(reportOf(five, { patch: { run: made(behind, 50) } }))).toMatch(
      /^Does training in patches pay here\? Undecided, as equal cost was not measured \(--equal-cost\)\. At equal data, for 0\.500× of the FLOPs and 231 tokens /,
    );
  });

  it("is none where a run diverged", () => {
    const diverged = [...ahead.slice(1), Number.NaN];
    expect(answer(reportOf(five, { superposition: equal(diverged) }))).toMatch(
      / No answer, as a run diverged\. At equal cost .*, a run of superposition or of its baseline diverged\.$/,
    );
    // The others have theirs.
    const methods = { paper: equal(diverged), superposition: equal(ahead) };
    expect(answer(reportOf(five, methods))).toMatch(/ Yes\. .* A run of paper or of its baseline diverged\. /);
  });
});

describe("a difference in words", () => {
  const of = (finals: readonly number[]) => reportOf(five.slice(0, finals.length), { patch: { run: made(finals) } });

  it("has its interval, and says where that shows none", () => {
    expect(intervalText(of(ahead).comparison)).toBe("95% interval −0.0240 to −0.0200, 5 seeds");
    expect(intervalText(of(even).comparison)).toBe("no difference seen: 95% interval −0.0525 to +0.0189, 5 seeds");
    expect(intervalText(of([1.8]).comparison)).toBe("one seed");
    expect(intervalText(of([1.8, Number.NaN]).comparison)).toBe("a run diverged");
    expect(formatDifference(of(even).comparison)).toBe("−0.0168 ± 0.0357");
    expect(formatDifference(of([1.8]).comparison)).toBe("−0.0940");
    expect(formatDifference(of([1.8, Number.NaN]).comparison)).toBe("diverged");
  });

  it("stands in the readings, which have none at equal data of a recipe at equal cost", () => {
    const paper = { run: made(behind, 50), equalCost: made(even) };
    const report = reportOf(five, { paper, superposition: equal(ahead) });
    const [first, second] = reportMethods(report);
    expect(readings(report, first).map(({ name, value }) => [name, value])).toEqual([
      ["Cost in FLOPs", "0.500×"],
      ["Cost in training time", "0.500×"],
      ["Loss at equal data", "+0.0320"],
      ["Loss at equal cost", "−0.0168"],
      ["Cost at equal loss", "1.000×"],
    ]);
    const atCost = readings(report, second).map(({ name, detail }) => [name, detail]);
    expect(atCost.map(([name]) => name)).not.toContain("Loss at equal data");
    expect(atCost[2]).toEqual([
      "Loss at equal cost",
      "95% interval −0.0240 to −0.0200, 5 seeds; 1.8860 against 1.9080 nats per token, for 100 and 100 FLOP",
    ]);
  });
});

describe("the pages of two recipes, two seeds and tuned rates", () => {
  beforeEach(async () => writeTinyData(path()));

  async function report(): Promise<CompareReport> {
    const config = tinyConfig(path(), "cpu", { stages: undefined });
    const point = (lr: number, valLoss: number) => ({ lr, schedule: "cosine" as const, valLoss });
    const grid = [point(0.01, 3), point(0.02, 2.5), point(0.04, Number.NaN)];
    const edge = [point(0.01, 3), point(0.02, 2.5), point(0.04, 2.4)];
    const tune = {
      baseline: { steps: 3, grid, best: grid[1]! },
      paper: { steps: 6, grid: edge, best: edge[2]! },
      superposition: { steps: 3, grid, best: grid[1]! },
    };
    const settings = new Map(Object.entries(tune).map(([key, { best }]) => [key, best]));
    const options = { recipes: ["paper", "superposition"], seeds: [1, 2] } as const;
    const plan = makePlan(config, await readFacts(config), options, settings);
    const methods = {
      paper: { run: made([3.2, 3.4], 50), equalCost: made([2.8, 3.1]), atBaselineRate: made([2.9, 3.2]) },
      superposition: { ...equal([2.5, 2.6]), atBaselineRate: made([2.5, 2.6]) },
    };
    return { comparison: madeComparison(made([3, 3.2]), methods, { tune }), plan, config };
  }

  it("begin with the answer, and have a row for every seed's losses, rate and arm", async () => {
    const made = await report();
    const html = withPlainCells(renderComparison(made));
    const text = answer(made);
    expect(/<p[ >].*?>(.*?)<\/p>/s.exec(html)![1]).toBe(text);
    expect(html.indexOf(text)).toBeLessThan(html.indexOf("<dl"));
    const row = (cells: readonly string[]) => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
    const none = ["−0.1500", "−0.7853 to +0.4853", "no difference seen"];
    expect(html).toContain(row(["paper, equal cost", "2.8000", "3.1000", "0.2121", ...none]));
    expect(html).toContain(row(["token-level", "3.0000", "3.2000", "0.1414", "–", "–", "–"]));
    expect(html).toContain(row(["0.04, cosine", "diverged", "2.4000*", "diverged"]));
    expect(html).toContain(row(["0.02, cosine", "2.5000*", "2.5000", "2.5000*"]));
    expect(html).toContain("paper is best at the edge of what was tried, at 0.04: a rate beyond may be better.");
    expect(html).toContain("At the baseline&#39;s rate of 0.02, paper: −0.0500 (no difference seen");
    expect(html).toContain("At the baseline&#39;s rate of 0.02, which is its own best, superposition: −0.5500");
    expect(html).toContain("<td>paper, equal cost, lr 0.02</td>");
    expect(html).toContain("<h2>superposition</h2>");
    expect(html).toContain("# recipe superposition:\n#   stages: [ { patchSize: 4, fraction: 0.3, of: steps }");
    expect(html).toMatch(/<th>Seeds<\/th><td>1, 2<\/td>/);
    const labels = (
      JSON.parse(/id="charts">(.*?)<\/script>/s.exec(html)![1]!) as { series: { label: string }[] }[]
    )[0]!;
    expect(labels.series.map(({ label }) => label)).toEqual([
      "token-level",
      "paper",
      "paper, equal cost",
      "superposition",
      "token-level, final",
    ]);
  });

  it("say the same as text, and the terminal says it last", async () => {
    const made = await report();
    const text = renderMarkdown(made);
    expect(text.split("\n")[2]).toBe(answer(made));
    for (const title of ["Runs", "Seed by seed", "Learning rates", "Stages", "Where the time goes"]) {
      expect(text).toContain(`\n## ${title}\n`);
    }
    expect(text).toMatch(/\n\| paper, equal cost +\| 2\.8000 \| 3\.1000 \| 0\.2121 \|/);
    const terminal = summary(made);
    expect(terminal.split("\n").at(-1)).toBe(answer(made));
    expect(terminal).toContain("\nsuperposition:\n\n- Cost in FLOPs: 1.000×");
    expect(terminal).not.toContain("How to read this");
  });
});
