import { createContext, runInContext } from "node:vm";
import { describe, expect, it } from "@jest/globals";
import { parseRunConfig } from "../../lib/config/config.js";
import { resolveStages } from "../../lib/config/stages.js";
import { chartScript } from "../../lib/report/chart_script.js";
import { formatCount, formatDuration, scriptJson } from "../../lib/report/format.js";
import type { MetricsLine } from "../../lib/report/metrics.js";
import type { Chart } from "../../lib/report/page.js";
import { type Report, renderReport } from "../../lib/report/report.js";
import { madeEnvironment } from "../support/made_results.js";

const given = {
  name: "run",
  model: { preset: "tiny" },
  data: { train: "t" },
  stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }],
  batch: { tokensPerStep: 1024, sequenceLength: 128 },
  train: { steps: 8 },
};
const config = parseRunConfig(given, "c");
const line = (step: number, stage: number, extra: Partial<MetricsLine> = {}): MetricsLine => ({
  step,
  stage,
  patchSize: stage === 0 ? 4 : 1,
  tokens: step * 1024,
  positions: step * 256,
  loss: 9 - step,
  lr: 1e-3,
  gradNorm: 2,
  seconds: step / 2,
  tokensPerSecond: 2048,
  flops: step * 1e9,
  mfu: null,
  ...extra,
});
const report: Report = {
  config,
  stages: resolveStages(config, 0),
  metrics: [
    line(1, 0),
    line(2, 0, { valLoss: 7.5 }),
    line(3, 0),
    line(4, 0),
    line(5, 1, { valLoss: 3.25 }),
    line(6, 1),
  ],
  every: 1,
  damage: [],
  parameters: 3_344_064,
  device: "cpu, fp32",
  notes: [],
  environments: [madeEnvironment],
  evaluated: { sequences: 4, positions: 128 },
  memory: { plannedBytes: 3 * 2 ** 29, peakBytes: 2 ** 30 },
  samples: [],
};

function chartsOf(html: string): Chart[] {
  const json = /<script type="application\/json" id="charts">(.*?)<\/script>/s.exec(html)![1]!;
  return JSON.parse(json) as Chart[];
}
const textOf = (html: string) =>
  html
    .slice(html.indexOf("<main>"))
    .replace(/<script[\s\S]*/, "")
    .replace(/<[^>]*>/g, " ");

describe("renderReport", () => {
  it("has Muon's rate, and its FLOPs beside the model's", () => {
    const muon = parseRunConfig({ ...given, optimizer: { type: "muon", muon: { lr: 0.02 } } }, "c");
    const metrics = [line(1, 0, { optimizerFlops: 5e6 })];
    const text = textOf(renderReport({ ...report, config: muon, stages: resolveStages(muon, 0), metrics }));
    expect(text).toMatch(/Compute of the optimizer\s+5\.00 M\s+FLOP of Newton-Schulz, besides/);
    expect(text).toContain("0.0003, Muon 0.02");
    expect(textOf(renderReport(report))).not.toMatch(/of the optimizer/i);
  });

  it("draws each stage's loss as a line of its own, and validation beside them", () => {
    const [loss] = chartsOf(renderReport(report));
    expect(loss!.x).toEqual([1024, 2048, 3072, 4096, 5120, 6144]);
    expect(loss!.series.map(({ label, values }) => [label, values])).toEqual([
      ["Training, stage 1 (K = 4)", [8, 7, 6, 5, null, null]],
      ["Training, stage 2 (K = 1)", [null, null, null, null, 4, 3]],
      ["Validation (K = 1)", [null, 7.5, null, null, 3.25, null]],
    ]);
    expect(loss!.marks).toEqual([
      { x: 0, label: "Stage 1: K = 4" },
      { x: 4096, label: "Stage 2: K = 1" },
    ]);
    expect(chartsOf(renderReport(report)).map(({ title }) => title)).toEqual([
      "Loss",
      "Learning rate",
      "Gradient norm, before clipping",
      "Tokens per second",
    ]);
  });

  it("says what the losses are, and where the run stands", () => {
    const text = textOf(renderReport(report));
    expect(text).toContain("loss of the stage's own objective");
    expect(text).toContain("3.34 M parameters");
    expect(text).toMatch(/3\.25 token-level, on 512 tokens; perplexity 25\.8, step 5/);
    expect(text).toContain("on text held out from training: the first 512 tokens of it.");
    expect(text).toContain("those of validation are on 512 tokens");
    expect(text).not.toMatch(/bits per byte/i);
    expect(text).toContain("6 of 8 steps so far");
    expect(text).toMatch(/2 {2}1 {2}2 of 4 {2}2\.05 k {2}0\.0003 {2}3\.0000 {2}3\.2500 {2}1\.00 s {2}2\.05 k/);
  });

  it("has the bits per byte of losses where they are known", () => {
    const metrics = report.metrics.map((each) =>
      each.valLoss === undefined ? each : { ...each, valBitsPerByte: each.valLoss / 2 },
    );
    const text = textOf(renderReport({ ...report, metrics }));
    expect(text).toContain("perplexity 25.8, 1.63 bits per byte, step 5");
    expect(text).toContain("Validation loss  Bits per byte  Time");
    expect(text).toMatch(/2 {2}1 {2}2 of 4 {2}2\.05 k {2}0\.0003 {2}3\.0000 {2}3\.2500 {2}1\.6250 {2}1\.00 s/);
  });

  it("tells how much of the peak was used, over the time of all steps", () => {
    const metrics = [line(1, 0, { mfu: 0.8, seconds: 1 }), line(2, 0, { mfu: 0.2, seconds: 4 }), line(3, 0)];
    expect(textOf(renderReport({ ...report, metrics }))).toMatch(/FLOP, 35.0% of the device&#39;s peak/);
    expect(textOf(renderReport(report))).toMatch(/FLOP, device peak not known/);
  });

  it("does not speak of patches where there are none, nor of validation that was not made", () => {
    const stages = report.stages.slice(1).map((stage) => ({ ...stage, index: 0, firstStep: 0 }));
    const html = renderReport({ ...report, stages, metrics: [line(1, 0, { patchSize: 1 })] });
    expect(textOf(html)).not.toContain("patches of K tokens");
    expect(textOf(html)).toContain("not evaluated");
    expect(chartsOf(html)[0]!.series).toHaveLength(1);
  });

  it("stands before the first step, and after a divergence", () => {
    expect(textOf(renderReport({ ...report, metrics: [] }))).toContain("no step yet");
    const html = renderReport({
      ...report,
      metrics: [line(1, 0, { loss: Number.NaN, gradNorm: Number.POSITIVE_INFINITY })],
    });
    expect(textOf(html)).toContain("diverged");
    expect(chartsOf(html)[0]!.series[0]!.values).toEqual([null]);
  });

  it("names the ranks, the slowest of them, and what waiting for them cost", () => {
    const metrics = report.metrics.map((each, index) => {
      return index < 3 ? { ...each, slowest: { rank: 1, behind: 0.002 * (index + 1) } } : each;
    });
    const places = [0, 1].map((rank) => ({ host: `host-${rank}`, device: `cpu (EPYC ${rank})` }));
    const text = textOf(renderReport({ ...report, metrics, ranks: { places, waited: 0.6 } }));
    expect(text).toMatch(/0 +host-0 +cpu \(EPYC 0\) +0% +–\s+1 +host-1 +cpu \(EPYC 1\) +100% +4\.00 ms/);
    expect(text).toContain("20.0% of the training time");
    expect(textOf(renderReport(report))).not.toContain("Ranks");
  });

  it("has what the run was trained on, with what, its memory, its config and its last text", () => {
    const samples = [1, 6].map((step) => ({ step, prompt: "Once", text: ` upon ${step}` }));
    const text = textOf(renderReport({ ...report, samples }));
    expect(text).toMatch(/A text by the model\s+Once\s+upon 6\s+After step 6\./);
    expect(text).not.toContain("upon 1");
    expect(text).toMatch(/Processor +P, 2 cores, 16\.0 GiB of memory/);
    expect(text).toMatch(/nextpatch\s+1\.2\.3\s+Libraries\s+oneDNN 2\.6\s+Commit\s+abc123\s+Begun\s+2026-01-01T/);
    expect(text).toMatch(/Memory +1\.50 GiB planned of the device, 1\.00 GiB in use at most/);
    expect(text).toMatch(/Training data +t: 700 tokens/);
    expect(text).toMatch(/First weights +random, of seed 1/);
    expect(text).toContain("tokensPerStep: 1024");
  });

  it("keeps foreign text from becoming markup", () => {
    const evil = "</script><img src=x onerror=alert(1)>&\"'";
    const hostile = {
      ...report,
      config: { ...config, name: evil },
      device: evil,
      samples: [{ step: 1, prompt: evil, text: evil }],
    };
    const html = renderReport(hostile);
    expect(html).not.toContain("<img");
    expect(html).toContain("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&amp;&quot;&#39;");
    expect(html.match(/<\/script>/g)).toHaveLength(3);
    expect(scriptJson({ evil })).not.toContain("<");
    expect(JSON.parse(scriptJson({ evil }))).toEqual({ evil });
  });

  it("says how many steps are left out, and what is wrong with the metrics", () => {
    expect(textOf(renderReport(report))).not.toMatch(/is drawn|Damaged/);
    const text = textOf(renderReport({ ...report, every: 4, damage: ["metrics.jsonl: byte 7: <b>"] }));
    expect(text).toContain("One step in 4 is drawn.");
    expect(text).toMatch(/Damaged metrics +metrics.jsonl: byte 7: &lt;b&gt; /);
  });

  it("counts the steps of a stage by its last, as lines are left out", () => {
    const metrics = [line(1, 0), line(4, 0, { tokens: 4096 }), line(7, 1)];
    expect(textOf(renderReport({ ...report, every: 2, metrics }))).toMatch(/ 1 {2}4 {2}4 {2}[\s\S]* 2 {2}1 {2}3 of 4 /);
  });

  it("loads nothing: everything is inside, and the page's policy says so", () => {
    const html = renderReport(report);
    expect(html).toContain("default-src 'none'");
    expect(html).not.toMatch(/(src|href)="(?!data:,)/);
    expect(html).not.toMatch(/@import|url\(/);
    expect(html).toContain("uPlot=function");
    expect(html).toContain(".uplot");
  });

  it("has a script that draws every chart", () => {
    const html = renderReport(report);
    const drawn: { data: unknown[][]; height: number }[] = [];
    const element = { clientWidth: 800, textContent: scriptJson(chartsOf(html)) };
    const sandbox = {
      document: { documentElement: {}, getElementById: () => element, querySelector: () => element },
      getComputedStyle: () => ({ getPropertyValue: () => " #123456 " }),
      matchMedia: () => ({ addEventListener: () => undefined }),
      ResizeObserver: class {
        observe() {}
      },
      uPlot: class {
        constructor(options: { height: number }, data: unknown[][]) {
          drawn.push({ data, height: options.height });
        }
      },
    };
    runInContext(chartScript, createContext(sandbox));
    expect(drawn.map(({ data, height }) => [data.length, height])).toEqual([
      [4, 380],
      [2, 200],
      [2, 200],
      [2, 200],
    ]);
  });
});

describe("numbers for people", () => {
  it.each<[number, string]>([
    [0, "0"],
    [999, "999"],
    [1000, "1.00 k"],
    [8_000_000, "8.00 M"],
    [3_344_064, "3.34 M"],
    [1.5e21, "1.50 Z"],
  ])("%d is %s", (value, text) => expect(formatCount(value)).toBe(text));

  it.each<[number, string]>([
    [0, "0.00 s"],
    [0.0398, "39.8 ms"],
    [0.9996, "1.00 s"],
    [41.23, "41.2 s"],
    [200, "3 min 20 s"],
    [59.99, "60.0 s"],
    [7500, "2 h 05 min"],
  ])("%d s is %s", (value, text) => expect(formatDuration(value)).toBe(text));
});
