import { beforeEach, describe, expect, it } from "@jest/globals";
import { readings } from "../../lib/compare/figures.js";
import { markdownTable, renderMarkdown } from "../../lib/compare/markdown.js";
import { renderComparison } from "../../lib/compare/page.js";
import type { CompareReport } from "../../lib/compare/report.js";
import type { RunResult } from "../../lib/compare/run_result.js";
import { runTable } from "../../lib/compare/words.js";
import type { Chart } from "../../lib/report/page.js";
import { planComparison } from "../support/comparison_plan.js";
import { tinyConfig, writeTinyData } from "../support/made_comparison.js";
import { type Made, madeComparison, madeRun, madeStaged } from "../support/made_results.js";
import { withPlainCells } from "../support/plain_cells.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => writeTinyData(path()));

/** An arm of 768 tokens, evaluated three times, that costs so many FLOPs and half as many seconds. */
function made(flops: number, losses: readonly number[], more: Made = {}): RunResult {
  const curve = losses.map((valLoss, index) => {
    const share = (index + 1) / losses.length;
    return { tokens: 768 * share, flops: flops * share, seconds: (flops * share) / 2, valLoss };
  });
  return madeRun(curve, more);
}

/** Scores of a task of each form, the second of a single item. */
const tasks = (acc: number, perplexity: number) => ({
  quiz: { items: 20, acc, acc_stderr: 0.1, acc_norm: 0.75, acc_norm_stderr: 0.05, acc_bytes: 0.75 },
  cloze: { items: 1, acc: 1, acc_stderr: null, perplexity },
});

async function report(
  changes: { losses?: readonly number[]; energy?: number; equal?: boolean; bits?: number; scored?: boolean } = {},
) {
  const { losses = [6, 5, 3.5], energy = null, equal = false, bits, scored = false } = changes;
  const config = tinyConfig(path(), "cpu", { name: "a <b>" });
  const plan = await planComparison(config, { equalCost: equal });
  const patch = { ...madeStaged(made(50, losses, { energy })), ...(bits !== undefined && { bitsPerByte: bits }) };
  const baseline = made(100, [5, 4, 3], { energy: energy === null ? null : 4 * energy });
  if (scored) {
    Object.assign(baseline, { tasks: tasks(0.5, 12.5) });
    Object.assign(patch, { tasks: tasks(0.25, Number.NaN) });
  }
  const equalCost = equal ? madeStaged(made(101, [6, 5, 2.5])) : null;
  const comparison = madeComparison(baseline, { patch: { run: patch, equalCost } });
  return { comparison, plan, config } satisfies CompareReport;
}

function chartsOf(html: string): Chart[] {
  const json = /<script type="application\/json" id="charts">(.*?)<\/script>/s.exec(html)![1]!;
  return JSON.parse(json) as Chart[];
}

describe("the page", () => {
  it("draws the runs over each other against FLOPs, tokens and time, with the end of the patch stage", async () => {
    const charts = chartsOf(renderComparison(await report({ equal: true })));
    expect(charts.map(({ xLabel }) => xLabel)).toEqual(["FLOP", "FLOP", "tokens", "seconds of training", "layer"]);
    const [near, flops, tokens] = charts;
    // Final losses of 3, 3.5 and 2.5.
    expect(near!.top).toBeCloseTo(3.5 + 3 * (3.5 - 2.5), 9);
    expect({ ...near, title: "", top: 0 }).toEqual({ ...flops, title: "", top: 0 });
    expect(flops!.top).toBeUndefined();
    expect(tokens!.x).toEqual([256, 512, 768]);
    expect(tokens!.series.map(({ label, values }) => [label, values])).toEqual([
      ["token-level", [5, 4, 3]],
      ["K = 4, fraction 0.6667", [6, 5, 3.5]],
      ["K = 4, fraction 0.6667, equal cost", [6, 5, 2.5]],
      ["token-level, final", [3, 3, 3]],
    ]);
    // Where no other run has a point, a line is joined over the gap.
    expect(flops!.x).toHaveLength(8);
    expect(flops!.series[0]!.values.filter((value) => value !== null)).toEqual([5, 4, 3]);
    expect(tokens!.marks).toEqual([{ x: 512, label: "K = 1", color: "orange" }]);
    expect(flops!.marks[0]!.x).toBeCloseTo((50 * 2) / 3, 9);
  });

  it("draws the active neurons of each layer of each run", async () => {
    const html = renderComparison(await report({ equal: true }));
    const { title, x, wholeX, yLabel, series } = chartsOf(html).at(-1)!;
    expect([title, x, wholeX, yLabel]).toEqual(["Active neurons of each layer", [0], true, "% of neurons"]);
    expect(series.map(({ label, values }) => [label, values])).toEqual([
      ["token-level", [10]],
      ["K = 4, fraction 0.6667", [5]],
      ["K = 4, fraction 0.6667, equal cost", [expect.closeTo(10.1, 9)]],
    ]);
    expect(html).toContain("further from 0 than 0.5 at a position, in the final models");
    expect(html).not.toContain("<h2>Tasks</h2>");
  });

  it("has the optimizer's FLOPs beside the model's if it is Muon", async () => {
    const given = await report();
    expect(runTable(given).headings.join()).not.toContain("optimizer");
    const patch = { ...given.comparison.patch, optimizerFlops: 3e9 };
    const { headings, rows } = runTable({ ...given, comparison: { ...given.comparison, patch } });
    expect(headings.at(-1)).toBe("FLOP of the optimizer, besides");
    expect(rows.map((row) => row.at(-1))).toEqual(["0", "3.00 G"]);
  });

  it("has a table of the tasks that were scored, with their errors", async () => {
    const html = withPlainCells(renderComparison(await report({ scored: true })));
    const row = (tag: string, cells: readonly string[]) =>
      `<tr>${cells.map((c) => `<${tag}>${c}</${tag}>`).join("")}</tr>`;
    const headings = ["Run", "quiz: acc", "quiz: acc_norm", "cloze: acc", "cloze: perplexity"];
    expect(html).toContain(row("th", headings));
    expect(html).toContain(row("td", ["token-level", "0.5000 ± 0.1000", "0.7500 ± 0.0500", "1.0000", "12.50"]));
    expect(html).toContain(
      row("td", ["K = 4, fraction 0.6667", "0.2500 ± 0.1000", "0.7500 ± 0.0500", "1.0000", "diverged"]),
    );
  });

  it("has a row for every stage of the staged runs, and marks where each but the last ends", async () => {
    const html = withPlainCells(renderComparison(await report()));
    const row = (cells: readonly string[]) => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
    expect(html).toContain(row(["K = 4, fraction 0.6667", "4", "8", "512", "20", "0.2000"]));
    expect(html).toContain(row(["K = 4, fraction 0.6667", "1", "4", "256", "30", "0.3000"]));

    const made = await report();
    const stages = [
      { ...made.plan.patch.stages[0]!, patchSize: 8, tokens: 256 },
      { ...made.plan.patch.stages[0]!, patchSize: 2, tokens: 256 },
      { ...made.plan.patch.stages[1]!, tokens: 256 },
    ];
    const arm = { ...made.plan.patch, stages };
    const methods = [{ ...made.plan.methods[0]!, run: arm }];
    const falling = { ...made, plan: { ...made.plan, patch: arm, methods } };
    expect(chartsOf(renderComparison(falling))[2]!.marks).toEqual([
      { x: 256, label: "K = 2", color: "orange" },
      { x: 512, label: "K = 1", color: "orange" },
    ]);
    expect(renderMarkdown(falling)).toMatch(/K = 8 of ".*" ends at 256 tokens.*K = 2 of ".*" ends at 512 tokens/);
  });

  it("shows where the time goes, and which part keeps its ratio up", async () => {
    const html = withPlainCells(renderComparison(await report()));
    expect(html).toContain("<h2>Where the time goes</h2>");
    const row = ["embedding", "5.00 s", "5.00 s", "1.0000", "1.0000", "+0.050"];
    expect(html).toContain(`<tr>${row.map((cell) => `<td>${cell}</td>`).join("")}</tr>`);
    expect(html).toContain("Parts that take more than 0.500× of their token-level time: embedding (+0.050).");
  });

  it("stands alone: conditions and config inside, everything escaped, nothing loaded", async () => {
    const html = renderComparison(await report());
    for (const text of [
      "a &lt;b&gt;",
      "cpu: A &lt;fast&gt; one, bf16",
      "16.0 GiB",
      "1.2.3",
      "oneDNN 2.6",
      "abc123",
      "700 tokens",
      "32 tokens; curves on 4 sequences of 8",
      "tokensPerStep: 64",
      "patchSize: 4",
    ]) {
      expect(html).toContain(text);
    }
    expect(html).not.toContain("<fast>");
    expect(html).toContain("default-src 'none'");
    expect(html.replace(/<script[\s\S]*?<\/script>/g, "")).not.toMatch(/(src|href)="(?!data:)/);
  });
});

describe("readings", () => {
  it("stand on the numbers under them", async () => {
    expect(readings(await report({ equal: true, energy: 1000 }))).toEqual([
      { name: "Cost in FLOPs", value: "0.500×", detail: "50 of 100 FLOP" },
      { name: "Cost in training time", value: "0.500×", detail: "25.0 s of 50.0 s" },
      { name: "Cost in energy", value: "0.250×", detail: "1.00 k of 4.00 k joules" },
      {
        name: "Loss at equal data",
        value: "+0.5000",
        detail: "one seed; 3.5000 against 3.0000 nats per token, after 768 and 768 tokens",
      },
      {
        name: "Loss at equal cost",
        value: "−0.5000",
        detail: "one seed; 2.5000 against 3.0000 nats per token, for 101 and 100 FLOP",
      },
      {
        name: "Cost at equal loss",
        value: "0.943×",
        detail: "the baseline's 3.0000 was reached after 94 FLOP, 47.1 s (0.943× of the time)",
      },
    ]);
  });

  it("say where the baseline's loss was never reached, and where a run diverged", async () => {
    expect(readings(await report()).at(-1)).toEqual({
      name: "Cost at equal loss",
      value: "not reached",
      detail: "the lowest loss was 3.5000, the baseline's is 3.0000",
    });
    const diverged = readings(await report({ losses: [6, Number.NaN] }));
    expect(diverged[2]!.value).toBe("diverged");
    expect(diverged[2]!.detail).toMatch(/^a run diverged; diverged against 3\.0000 nats per token/);
  });
});

describe("the Markdown", () => {
  it("has the readings, a row for every run, the curves, the conditions and the config", async () => {
    const text = renderMarkdown(await report({ equal: true }));
    expect(text).toContain("- Loss at equal data: +0.5000 (one seed; 3.5000 against 3.0000 nats per token");
    expect(text).toMatch(/\n\| token-level +\| +768 \| +1\.10 \| +100 \| +50\.0 s \| +3\.0000 \| +20\.09 \|/);
    expect(text).toMatch(/ends at 512 tokens, 33 FLOP, 16\.7 s\./);
    expect(text).toMatch(/\n\| embedding +\| +5\.00 s \| +5\.00 s \| 1\.0000 \| 1\.0000 \| \+0\.050 \|\n/);
    expect(text).toContain("\nTraining takes 0.500× of the time for 0.500× of the FLOPs, a gap of 0.000.");
    expect(text.match(/^### /gm)).toHaveLength(3);
    expect(text).toContain("```yaml\nname: a <b>\n");
    expect(text).toContain("| Commit ");
    expect(text).not.toContain("Bits per byte");
    expect(text).toMatch(/\n## Active neurons\n\n\| Layer \| token-level \|.*\n.*\n\| 0 +\| +10\.000% \| +5\.000% \|/);
    expect(text).not.toContain("## Tasks");
    const scored = renderMarkdown(await report({ scored: true }));
    expect(scored).toMatch(
      /\n## Tasks\n\n\| Run +\| +quiz: acc \| +quiz: acc_norm \| cloze: acc \| cloze: perplexity \|\n/,
    );
  });

  it("has the bits per byte of runs whose text is counted", async () => {
    const known = await report({ bits: 1.25 });
    expect(renderMarkdown(known)).toMatch(/\n\| Run +\|.*\| Bits per byte \|/);
    expect(renderMarkdown(known)).toMatch(/\n\| K = 4, fraction 0.6667 \|.*\| +1\.2500 \|/);
    // A run that was finished before they were recorded has none.
    expect(renderMarkdown(known)).toMatch(/\n\| token-level +\|.*3\.0000 \| +– \|/);
    expect(renderComparison(known)).toContain("<th>Bits per byte</th>");
  });

  it("lines up its tables, and keeps a bar inside its cell", () => {
    expect(
      markdownTable(
        ["Run", "N"],
        [
          ["a|b", "1"],
          ["long one", "1000"],
        ],
      ),
    ).toBe("| Run      |    N |\n|----------|-----:|\n| a\\|b     |    1 |\n| long one | 1000 |");
  });
});
