/** A quick result as one page of text: what was measured, beside the step on paper (docs/cuda-model.md). */
import type { KernelBenchResult } from "../../../lib/bench/kernels/run.js";
import type { TorchTrain } from "../result.js";
import type { KernelOccupancy } from "./occupancy.js";
import type { GpuFacts, NsysRow, TestCounts } from "./read.js";
import type { QuickResult, QuickStep } from "./result.js";
import {
  type GemmCandidates,
  gemmTable,
  kernelsTable,
  nsysTable,
  occupancyTable,
  operationsTable,
  type StepOperations,
  type Tuned,
  table,
  trainTable,
  tunedLines,
} from "./tables.js";

type Lines = string[];

export function page({ device, backend, date, revision, steps }: QuickResult): string {
  /** What a step has found, also if it has not come to its end; null if nothing. */
  const found = <T>(name: string) => (steps.find((step) => step.name === name)?.result as T | undefined) ?? null;
  const section = <T>(name: string, lines: (result: T) => Lines): Lines => {
    const result = found<T>(name);
    return result === null ? [] : lines(result);
  };
  const trained = steps.filter(({ phase, name, result }) => {
    return (phase === "train" || name.endsWith("-tuned")) && result !== undefined;
  });
  const peers = new Map<number, TorchTrain>();
  for (const patchSize of [1, 4]) {
    const peer = found<TorchTrain>(`pytorch-${patchSize}`);
    if (peer !== null) peers.set(patchSize, peer);
  }
  const sections = [
    backend === "simt"
      ? ["**The device is simulated: this shows that the parts start and are read. No time here means anything.**"]
      : [
          "Expected is what the step takes on paper, on an H100 SXM5 (docs/cuda-model.md): nothing of that was measured.",
        ],
    outcomeLines(steps),
    testLines(steps),
    trained.length === 0 ? [] : trainTable(trained, peers),
    ...steps
      .filter(({ name, result }) => name.startsWith("operations-") && result !== undefined)
      .map(({ result }) => operationsTable(result as StepOperations)),
    section<NsysRow[]>("nsys", nsysTable),
    section<KernelBenchResult>("kernels", kernelsTable),
    section<GemmCandidates>("gemm-candidates", gemmTable),
    section<Tuned>("tune", tunedLines),
    section<KernelOccupancy[]>("occupancy", occupancyTable),
    section<SameBits>("same-bits", bitsLines),
    section<Record<string, boolean>>("large", largeLines),
    section<Fault>("fault", faultLines),
    stepsTable(steps, date),
  ];
  const head = [`Measured ${minute(date)} UTC`, `source ${revision}`, ...gpuWords(found<GpuFacts>("gpu"))];
  return [
    `# ${device}`,
    "",
    `${head.join("; ")}.`,
    ...sections.filter((lines) => lines.length > 0).flatMap((lines) => ["", ...lines]),
    "",
  ].join("\n");
}

const minute = (date: string) => date.slice(0, 16).replace("T", " ");

function gpuWords(gpu: GpuFacts | null): string[] {
  if (gpu === null) return [];
  return [
    `compute capability ${gpu.compute_cap}`,
    `driver ${gpu.driver_version}`,
    gpu["memory.total"],
    `power limit ${gpu["power.limit"]}`,
    `SM clock up to ${gpu["clocks.max.sm"]}`,
  ];
}

/** How many steps ended how, what failed, and what was not measured, by reason. */
function outcomeLines(steps: readonly QuickStep[]): Lines {
  const having = (outcome: QuickStep["outcome"]) => steps.filter((step) => step.outcome === outcome);
  const [failed, skipped] = [having("failed"), having("skipped")];
  const reasons = new Map<string, string[]>();
  for (const { name, reason = "" } of skipped) reasons.set(reason, [...(reasons.get(reason) ?? []), name]);
  return [
    `Of ${steps.length} steps ${having("passed").length} passed, ${failed.length} failed, ${skipped.length} were not run.`,
    "",
    ...failed.map(({ name, reason }) => `- **${name} failed: ${reason}**`),
    ...[...reasons].map(([reason, names]) => `- not measured: ${reason}: ${names.join(", ")}`),
  ];
}

/** Every step of jest: how many tests, and the names of those that failed. */
function testLines(steps: readonly QuickStep[]): Lines {
  return steps.flatMap(({ name, outcome, result }) => {
    if (typeof result !== "object" || result === null || !("failures" in result)) return [];
    const { files, passed, failed, skipped, failures, warpgroups } = result as TestCounts & WithWarpgroups;
    const end = outcome === "passed" ? "" : " (not all of them)";
    const count = `- ${name}: ${passed} tests passed, ${failed} failed, ${skipped} were skipped; files: ${files}${end}`;
    return [count, ...failures.map((failure) => `  - ${failure.name}`), ...warpgroupLines(warpgroups)];
  });
}

/** Of a step that runs the tests of attention again, with each warp's own products. */
interface WithWarpgroups {
  readonly warpgroups?: { readonly compared: number; readonly changed: readonly string[] };
}

function warpgroupLines(found: WithWarpgroups["warpgroups"]): Lines {
  if (found === undefined) return [];
  const { compared, changed } = found;
  const verdict = changed.length === 0 ? "the same bits" : `**${changed.length} have other bits**`;
  return [`  - ${compared} of them compared with machine code: ${verdict}`, ...changed.map((name) => `  - ${name}`)];
}

/** The result of same_bits.ts. */
interface SameBits {
  readonly steps: number;
  readonly interruptedAfter: number;
  readonly equal: boolean;
  readonly hashes: Readonly<Record<string, string>>;
}

function bitsLines({ steps, interruptedAfter, equal, hashes }: SameBits): Lines {
  const found = Object.entries(hashes).map(([name, hash]) => `${name} ${hash.slice(0, 12)}`);
  const verdict = equal ? "the same bits" : "**different bits**";
  return [
    `The same ${steps} steps ${found.length} times (resumed: after ${interruptedAfter}): ${verdict}: ${found.join(", ")}`,
  ];
}

function largeLines(results: Readonly<Record<string, boolean>>): Lines {
  const wrong = Object.keys(results).filter((name) => !results[name]);
  const verdict = wrong.length === 0 ? "all right" : `**wrong: ${wrong.join(", ")}**`;
  return [`Tensors of more than 2^31 elements, ${Object.keys(results).length} operations: ${verdict}`];
}

/** The result of fault.ts. */
interface Fault {
  readonly heard: readonly { readonly name: string; readonly message: string }[];
}

function faultLines({ heard: [first] }: Fault): Lines {
  return [
    first === undefined
      ? "A provoked fault: **nothing was heard of it**"
      : `A provoked fault: ${first.name}: ${first.message}`,
  ];
}

/** @param date of this run: what an earlier one has found says so */
function stepsTable(steps: readonly QuickStep[], date: string): Lines {
  const row = ({ phase, name, outcome, seconds, limit, reason, ...of }: QuickStep) => {
    const earlier = of.date < date ? `${minute(of.date)} UTC, source ${of.revision}` : undefined;
    const why = [reason, earlier].filter((text) => text !== undefined);
    return [phase, name, outcome, `${seconds.toFixed(0)} of ${limit}`, why.join("; ")];
  };
  return table(["part", "step", "outcome", "seconds", "why"], steps.map(row));
}
