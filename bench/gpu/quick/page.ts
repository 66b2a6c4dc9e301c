/** A quick result as one page of text: what was measured, beside the step on paper (docs/cuda-model.md). */
import { modelled, type StepModel, stepModel } from "../../../docs/cuda_model.js";
import type { KernelBenchResult } from "../../../lib/bench/kernels/run.js";
import type { TrainBenchResult } from "../../../lib/bench/train_step.js";
import type { PresetName } from "../../../lib/hf/presets.js";
import { kernelKey } from "../../pairing.js";
import type { TorchTrain } from "../result.js";
import type { TestCounts } from "./jest_result.js";
import type { KernelOccupancy } from "./occupancy.js";
import type { QuickResult, QuickStep } from "./result.js";
import { shape } from "./steps.js";

/** The result of operations.ts. */
export interface StepOperations {
  readonly model: string;
  readonly patchSize: number;
  readonly tokens: number;
  readonly operations: readonly { readonly name: string; readonly calls: number; readonly seconds: number }[];
}

/** Rows of a table that the page has room for. */
const operationRows = 16;
const kernelRows = 10;

export function page({ device, date, revision, steps }: QuickResult): string {
  const passed = (name: string) => steps.find((step) => step.name === name && step.outcome === "passed");
  const gpu = passed("gpu")?.result as Record<string, string> | undefined;
  const sections = [
    outcomeLines(steps),
    testLines(steps),
    trainTable(steps),
    ...steps.filter(({ name }) => name.startsWith("operations-")).map(operationsTable),
    kernelsTable(passed("kernels")),
    occupancyTable(passed("occupancy")),
    bitsLine(steps.find(({ name }) => name === "same-bits")),
    faultLine(steps.find(({ name }) => name === "fault")),
    stepsTable(steps),
  ];
  return [
    `# ${device}`,
    "",
    [`Measured ${date.slice(0, 16).replace("T", " ")} UTC`, `source ${revision}`, ...gpuWords(gpu)].join("; ") + ".",
    "",
    "What is expected is the step on paper (docs/cuda-model.md), of an H100 SXM5: nothing of that was measured.",
    ...sections.filter((lines) => lines.length > 0).flatMap((lines) => ["", ...lines]),
    "",
  ].join("\n");
}

function gpuWords(gpu: Record<string, string> | undefined): string[] {
  if (gpu === undefined) return [];
  return [
    `compute capability ${gpu.compute_cap}`,
    `driver ${gpu.driver_version}`,
    `${gpu["memory.total"]}`,
    `power limit ${gpu["power.limit"]}`,
    `SM clock up to ${gpu["clocks.max.sm"]}`,
  ];
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), `|${"---|".repeat(header.length)}`, ...rows.map(line)];
}

/** How many steps ended how, and what failed. */
function outcomeLines(steps: readonly QuickStep[]): string[] {
  const count = (outcome: QuickStep["outcome"]) => steps.filter((step) => step.outcome === outcome).length;
  const failed = steps.filter(({ outcome }) => outcome === "failed");
  return [
    `Of ${steps.length} steps ${count("passed")} passed, ${failed.length} failed, ${count("skipped")} were skipped.`,
    ...failed.map(({ name, reason }) => `- **${name} failed: ${reason}**`),
  ];
}

function stepsTable(steps: readonly QuickStep[]): string[] {
  const cell = ({ phase, name, outcome, seconds, limit, reason = "" }: QuickStep) => [
    phase,
    name,
    outcome,
    `${seconds.toFixed(0)} of ${limit}`,
    reason,
  ];
  return table(["part", "step", "outcome", "seconds", "why"], steps.map(cell));
}

/** Every step of jest: how many tests, and the names of those that failed. */
function testLines(steps: readonly QuickStep[]): string[] {
  return steps.flatMap(({ name, result }) => {
    if (typeof result !== "object" || result === null || !("failures" in result)) return [];
    const { passed, failed, skipped, failures } = result as TestCounts;
    const count = `- ${name}: ${passed} tests passed, ${failed} failed, ${skipped} skipped`;
    return [count, ...failures.map((failure) => `  - ${failure.name}`)];
  });
}

/** The step on paper; null for a model that has none. */
function expected(model: string, K: number, tokens: number): StepModel | null {
  return (modelled as readonly string[]).includes(model) ? stepModel(model as PresetName, K, tokens) : null;
}

const percent = (share: number | null | undefined) => (share == null ? "–" : `${(100 * share).toFixed(1)} %`);
const ms = (milliseconds: number | undefined) => (milliseconds === undefined ? "–" : milliseconds.toPrecision(4));

function trainTable(steps: readonly QuickStep[]): string[] {
  const rows = steps
    .filter(({ phase, outcome }) => phase === "train" && outcome === "passed")
    .map(({ name, result, clocks }) => {
      const [, model, patchSize] = /^(.+)-(\d+)$/.exec(name)!;
      const { tokensPerSecond, secondsPerStep, mfu, peakBytes } = result as TrainBenchResult;
      const paper = expected(model!, Number(patchSize), shape.tokens);
      const peer = steps.find((step) => step.name === `pytorch-${patchSize}` && step.outcome === "passed");
      const torch = model === "llama-370m" ? (peer?.result as TorchTrain | undefined) : undefined;
      return [
        model!,
        patchSize!,
        Math.round(tokensPerSecond).toString(),
        ms(1e3 * secondsPerStep),
        ms(paper?.milliseconds),
        percent(mfu),
        percent(paper?.mfu),
        (peakBytes / 2 ** 30).toFixed(1),
        clocks === undefined ? "–" : `${clocks.smMHz.median} (${clocks.smMHz.least} to ${clocks.smMHz.most})`,
        clocks === undefined ? "–" : String(clocks.watts.mean),
        torch === undefined ? "–" : (tokensPerSecond / torch.tokensPerSecond).toFixed(2),
      ];
    });
  if (rows.length === 0) return [];
  const header = [
    "model",
    "K",
    "tokens/s",
    "ms a step",
    "expected",
    "MFU",
    "expected",
    "GiB",
    "SM MHz",
    "W",
    "x PyTorch",
  ];
  return [
    `Training steps of ${shape.tokens} tokens. PyTorch is eager; \`gpu.sh train\` has it compiled.`,
    "",
    ...table(header, rows),
  ];
}

function operationsTable({ result, outcome }: QuickStep): string[] {
  if (outcome !== "passed") return [];
  const { model, patchSize, tokens, operations } = result as StepOperations;
  const rows = expected(model, patchSize, tokens)?.rows ?? [];
  const paper = new Map(rows.map((row) => [row.name, row.milliseconds]));
  const total = operations.reduce((sum, { seconds }) => sum + 1e3 * seconds, 0);
  const shown = operations.slice(0, operationRows);
  const row = (name: string, calls: string, measured: number, onPaper: number | undefined) => [
    name,
    calls,
    ms(measured),
    ms(onPaper),
    onPaper === undefined ? "–" : (measured / onPaper).toFixed(2),
    percent(measured / total),
  ];
  const rest = operations.slice(operationRows);
  const restPaper = rest.flatMap(({ name }) => paper.get(name) ?? []).reduce((sum, value) => sum + value, 0);
  return [
    `One step of ${model}, K = ${patchSize}, ${tokens} tokens, without graphs, by operation: ${ms(total)} ms`,
    "",
    ...table(
      ["operation", "calls", "ms", "expected", "measured / expected", "of the step"],
      [
        ...shown.map(({ name, calls, seconds }) => row(name, String(calls), 1e3 * seconds, paper.get(name))),
        row(
          `${rest.length} others`,
          "",
          rest.reduce((sum, { seconds }) => sum + 1e3 * seconds, 0),
          restPaper || undefined,
        ),
      ],
    ),
  ];
}

function kernelsTable(step: QuickStep | undefined): string[] {
  if (step === undefined) return [];
  const { ceilings, kernels } = step.result as KernelBenchResult;
  const far = [...kernels].sort((a, b) => a.fractionOfCeiling - b.fractionOfCeiling).slice(0, kernelRows);
  const copy = (ceilings.bytesPerSecond / 1e12).toFixed(2);
  const product = (ceilings.flopsPerSecond / 1e12).toFixed(0);
  return [
    `Kernels furthest from what this GPU reaches (copies ${copy} TB/s, products ${product} TFLOP/s), of ${kernels.length}:`,
    "",
    ...table(
      ["kernel", "us", "of the ceiling", "bound by"],
      far.map((row) => [kernelKey(row), (1e6 * row.seconds).toFixed(1), percent(row.fractionOfCeiling), row.bound]),
    ),
  ];
}

function occupancyTable(step: QuickStep | undefined): string[] {
  if (step === undefined) return [];
  const text = (value: number | null | undefined) => (value == null ? "–" : String(value));
  return [
    "Attention's kernels on a multiprocessor, as the driver says; `check:cuda` counts the warps without a GPU:",
    "",
    ...table(
      ["kernel", "code", "threads", "registers", "shared", "local", "blocks", "warps", "counted"],
      (step.result as KernelOccupancy[]).map((row) => [
        row.kernel,
        text(row.binary),
        String(row.threads),
        text(row.registers),
        String(row.sharedBytes),
        text(row.localBytes),
        text(row.blocks),
        text(row.warps),
        text(row.countedWarps),
      ]),
    ),
  ];
}

function bitsLine(step: QuickStep | undefined): string[] {
  if (step?.result === undefined) return [];
  const { steps, interruptedAfter, equal, hashes } = step.result as {
    steps: number;
    interruptedAfter: number;
    equal: boolean;
    hashes: Record<string, string>;
  };
  const found = Object.entries(hashes).map(([name, hash]) => `${name} ${hash.slice(0, 12)}`);
  const verdict = equal ? "the same bits" : "DIFFERENT BITS";
  return [`${steps} steps (resumed: interrupted after ${interruptedAfter}): ${verdict}: ${found.join(", ")}`];
}

function faultLine(step: QuickStep | undefined): string[] {
  if (step?.result === undefined) return [];
  const [first] = (step.result as { heard: { name: string; message: string }[] }).heard;
  return [
    first === undefined
      ? "A provoked fault: nothing was heard of it"
      : `A provoked fault: ${first.name}: ${first.message}`,
  ];
}
