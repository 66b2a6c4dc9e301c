/** A plan for a cluster as tables of 80 columns. */
import type { ClusterPlan, PlannedStage, PlannedTraining, Total } from "../plan/plan.js";
import type { Cluster } from "../plan/ring.js";
import { formatCount } from "../report/format.js";
import { usableShare } from "../train/memory_plan.js";
import { manualPage } from "./manual.js";

export function formatGibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

/** The share of its peak that a GPU reaches, and whether that is only assumed. */
export interface GivenMfu {
  readonly mfu: number;
  readonly assumed: boolean;
}

export function clusterText(plan: ClusterPlan, cluster: Cluster, given: GivenMfu): string {
  const { tokenLevel, staged } = plan;
  const rows = [...rowsOf("token by token", tokenLevel), ...(staged ? rowsOf("in stages", staged) : [])];
  return [
    ...headText(plan, cluster, given),
    "",
    table(["", "steps", "tokens", "s a step", "days", "GPU-hours", "tokens a day"], rows.map(costCells)),
    "",
    ...(cluster.gpus === 1 ? [] : [...communicationText(plan, rows), ""]),
    ...memoryText(staged ?? tokenLevel, cluster),
    "",
    ...(staged ? [savesText(tokenLevel.total, staged.total)] : []),
    ...mostText(staged ?? tokenLevel, cluster),
    "",
    ...(cluster.gpus === 1 ? [] : ["nextpatch was not measured on several GPUs yet."]),
    "Nothing of this was measured: it is arithmetic on data sheets. Evaluation,",
    `checkpoints, failures and slow machines are left out: ${manualPage("plan.md")}`,
  ].join("\n");
}

function headText({ parameters, ring }: ClusterPlan, cluster: Cluster, { mfu, assumed }: GivenMfu): string[] {
  const { gpu, gpus, gpusPerNode, netBytesPerSecond } = cluster;
  const oneMachine = gpus === 1 ? "" : ", in one machine";
  const machines = `, ${gpusPerNode} a machine, network ${(netBytesPerSecond! * 8) / 1e9} Gbit/s each`;
  const rings = `rings of all GPUs: ${(ring.bytesPerSecond / 1e9).toFixed(0)} GB/s, limited by ${ring.limitedBy}`;
  return [
    `${formatCount(parameters)} parameters on ${gpus} x ${gpu.name}${netBytesPerSecond === null ? oneMachine : machines}`,
    `speed of each GPU: ${percent(mfu)} of ${(gpu.peakFlops / 1e12).toFixed(0)} TFLOP/s${assumed ? ", assumed" : ""}`,
    ...(assumed ? ["  (--mfu takes what bench train measures on one)"] : []),
    ...(gpus === 1 ? [] : [rings]),
  ];
}

/** A line of the tables: a training as a whole (`stage` is null if it has several stages), or a stage of it. */
interface Row {
  readonly name: string;
  readonly stage: PlannedStage | null;
  readonly total: Omit<Total, "flops">;
}

function rowsOf(name: string, { stages, total }: PlannedTraining): Row[] {
  if (stages.length === 1) return [{ name: `${name}, K = ${stages[0]!.patchSize}`, stage: stages[0]!, total }];
  const ofStages = stages.map((stage, index) => ({
    name: `  stage ${index + 1}, K = ${stage.patchSize}`,
    stage,
    total: stageTotal(stage, total),
  }));
  return [{ name, stage: null, total }, ...ofStages];
}

function stageTotal({ steps, tokens, seconds, step }: PlannedStage, all: Total): Row["total"] {
  return {
    steps,
    tokens,
    seconds,
    days: seconds / 86400,
    gpuHours: (seconds / all.seconds) * all.gpuHours,
    tokensPerDay: (tokens / seconds) * 86400,
    efficiency: step.efficiency,
  };
}

function costCells({ name, stage, total }: Row): string[] {
  return [
    name,
    String(total.steps),
    formatCount(total.tokens),
    stage === null ? "" : digits(stage.step.seconds),
    digits(total.days),
    digits(total.gpuHours),
    formatCount(total.tokensPerDay),
  ];
}

function communicationText({ bytesPerStep, zero }: ClusterPlan, rows: readonly Row[]): string[] {
  const gigabytes = (bytes: number) => `${digits(bytes / 1e9)} GB`;
  const { reduceScatter, allGather } = bytesPerStep;
  const cells = rows.map(({ name, stage, total }) => {
    if (stage === null) return [name, "", "", "", percent(total.efficiency), ""];
    const { computeSeconds, communicationSeconds, exposedSeconds, efficiencyWithoutOverlap } = stage.step;
    const times = [computeSeconds, communicationSeconds, exposedSeconds].map((seconds) => digits(1e3 * seconds));
    return [name, ...times, percent(total.efficiency), percent(efficiencyWithoutOverlap)];
  });
  return [
    `in each step a GPU sends ${gigabytes(reduceScatter)} of gradients${zero === 2 ? " for each micro-batch" : ""} and ` +
      `${gigabytes(allGather)} of weights`,
    table(["ms a step", "compute", "communicate", "not hidden", "efficiency", "none hidden"], cells),
  ];
}

function memoryText({ stages, memory }: PlannedTraining, { gpu, gpus }: Cluster): string[] {
  const { items, bytes, usableBytes, fits } = memory;
  const passes = stages.map(({ microBatch, patchSize }) => {
    return `  ${microBatch} sequence${microBatch === 1 ? "" : "s"} in a pass at K = ${patchSize}`;
  });
  const line = (name: string, value: number) => `  ${name.padEnd(52)}${formatGibibytes(value).padStart(12)}`;
  return [
    `memory of ${gpus === 1 ? "the" : "each"} GPU`,
    ...new Set(passes),
    ...items.map((item) => line(item.name, item.bytes)),
    line(fits ? "in all: fits" : "in all: DOES NOT FIT", bytes),
    line(`usable: ${100 * usableShare} % of ${(gpu.memoryBytes / 1e9).toFixed(0)} GB`, usableBytes),
  ];
}

function savesText(tokenLevel: Total, staged: Total): string {
  const share = 1 - staged.seconds / tokenLevel.seconds;
  const gpuHours = digits(Math.abs(tokenLevel.gpuHours - staged.gpuHours));
  const flops = percent(1 - staged.flops / tokenLevel.flops);
  if (share < 0) return `the stages take ${gpuHours} GPU-hours more: ${percent(-share)}`;
  return (
    `the stages save ${gpuHours} GPU-hours: ${percent(share)}, where they save ${flops} of the FLOPs,\n` +
    "  if the loss is the same: compare measures that"
  );
}

function mostText({ mostGpus }: PlannedTraining, { gpus }: Cluster): string[] {
  if (gpus < mostGpus) return [`this config can use ${mostGpus} GPUs: each needs a sequence of every step`];
  return ["more GPUs need a larger batch: each needs a sequence of every step"];
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** Three digits, or all before the point. */
const digits = (value: number): string => (Math.abs(value) < 999.5 ? value.toPrecision(3) : value.toFixed(0));

/** Columns: the first to the left, the others to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const sizes = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(sizes[0]!) : cell.padStart(sizes[column]!))).join("  ");
  return all.map((row) => line(row).trimEnd()).join("\n");
}
