/** Tables of the page, each of one step's result. */
import { modelled, type StepModel, stepModel } from "../../../docs/cuda_model.js";
import type { KernelBenchResult } from "../../../lib/bench/kernels/run.js";
import type { ProductSummary } from "../../../lib/bench/products/summary.js";
import type { TrainBenchResult } from "../../../lib/bench/train_step.js";
import type { PresetName } from "../../../lib/hf/presets.js";
import { kernelKey } from "../../pairing.js";
import type { TorchTrain } from "../result.js";
import type { KernelOccupancy } from "./occupancy.js";
import type { NsysRow } from "./read.js";
import type { QuickStep } from "./result.js";

/** The result of a step of `train`. */
export interface TrainedModel extends TrainBenchResult {
  readonly model: string;
  readonly patchSize: number;
  /** Of a step. */
  readonly tokens: number;
}

/** The result of operations.ts. */
export interface StepOperations {
  readonly model: string;
  readonly patchSize: number;
  readonly tokens: number;
  readonly operations: readonly { readonly name: string; readonly calls: number; readonly seconds: number }[];
}

/** The result of gemm_candidates.ts. */
export interface GemmCandidates {
  readonly products: readonly {
    readonly M: number;
    readonly N: number;
    readonly K: number;
    readonly op: string;
    readonly flops: number;
    /** Null: it does not run, or gives other bits every time. */
    readonly seconds: readonly (number | null)[];
  }[];
}

/** The result of `nextpatch tune`. */
export interface Tuned {
  readonly products: readonly ProductSummary[];
  /** Of all calls of a step at K = 1 and one at K = 4. */
  readonly firstSeconds: number;
  readonly seconds: number;
}

/** Rows that the page has room for. */
const most = { operations: 16, kernels: 10, nsys: 10 };

type Lines = string[];

export function table(header: readonly string[], rows: readonly (readonly string[])[]): Lines {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), `|${"---|".repeat(header.length)}`, ...rows.map(line)];
}

/** The step on paper; null for a model that has none. */
function expected(model: string, patchSize: number, tokens: number): StepModel | null {
  return (modelled as readonly string[]).includes(model) ? stepModel(model as PresetName, patchSize, tokens) : null;
}

const percent = (share: number | null | undefined) => (share == null ? "–" : `${(100 * share).toFixed(1)} %`);
const ms = (milliseconds: number | undefined) => (milliseconds === undefined ? "–" : milliseconds.toPrecision(4));
const us = (seconds: number | null) => (seconds === null ? "–" : (1e6 * seconds).toFixed(1));
const ratio = (measured: number, onPaper: number | undefined) =>
  onPaper === undefined ? "–" : (measured / onPaper).toFixed(2);

/** @param peers PyTorch's steps of llama-370m by K */
export function trainTable(steps: readonly QuickStep[], peers: ReadonlyMap<number, TorchTrain>): Lines {
  const header = ["model", "K", "tokens", "tokens/s", "ms", "expected", "MFU", "expected", "GiB"];
  const rows = steps.map(({ result, clocks }) => {
    const { model, patchSize, tokens, ...found } = result as TrainedModel;
    const paper = expected(model, patchSize, tokens);
    const peer = model === "llama-370m" ? peers.get(patchSize) : undefined;
    return [
      model,
      String(patchSize),
      String(tokens),
      Math.round(found.tokensPerSecond).toString(),
      ms(1e3 * found.secondsPerStep),
      ms(paper?.milliseconds),
      percent(found.mfu),
      percent(paper?.mfu),
      (found.peakBytes / 2 ** 30).toFixed(1),
      clocks === undefined ? "–" : `${clocks.smMHz.median} (${clocks.smMHz.least} to ${clocks.smMHz.most})`,
      clocks === undefined ? "–" : `${clocks.watts.mean} (${clocks.watts.most})`,
      peer === undefined ? "–" : (found.tokensPerSecond / peer.tokensPerSecond).toFixed(2),
    ];
  });
  return [
    "Training steps. SM clock: median (least to most) while a kernel ran; power: mean (most). PyTorch is eager;",
    "`bench/gpu.sh train` has it compiled.",
    "",
    ...table([...header, "SM MHz", "W", "x PyTorch"], rows),
  ];
}

export function operationsTable({ model, patchSize, tokens, operations }: StepOperations): Lines {
  const onPaper = new Map((expected(model, patchSize, tokens)?.rows ?? []).map((row) => [row.name, row.milliseconds]));
  const rows = operations.map(({ name, calls, seconds }) => ({
    name,
    calls: String(calls),
    measured: 1e3 * seconds,
    paper: onPaper.get(name),
  }));
  const [shown, rest] = [rows.slice(0, most.operations), rows.slice(most.operations)];
  if (rest.length > 0) {
    const known = rest.flatMap(({ paper }) => paper ?? []);
    shown.push({
      name: `${rest.length} others`,
      calls: "",
      measured: sum(rest.map(({ measured }) => measured)),
      paper: known.length === 0 ? undefined : sum(known),
    });
  }
  const total = sum(rows.map(({ measured }) => measured));
  const all = onPaper.size === 0 ? undefined : sum([...onPaper.values()]);
  const compared = all === undefined ? "" : `, expected ${ms(all)}`;
  return [
    `One step of ${model}, K = ${patchSize}, ${tokens} tokens, without graphs: ${ms(total)} ms${compared}. By operation:`,
    "",
    ...table(
      ["operation", "calls", "ms", "expected", "measured / expected", "of the step"],
      shown.map(({ name, calls, measured, paper }) => {
        return [name, calls, ms(measured), ms(paper), ratio(measured, paper), percent(measured / total)];
      }),
    ),
  ];
}

export function nsysTable(rows: readonly NsysRow[]): Lines {
  const total = sum(rows.map(({ seconds }) => seconds));
  const longest = [...rows].sort((a, b) => b.seconds - a.seconds).slice(0, most.nsys);
  return [
    `Kernels of a run of three steps of llama-370m, as nsys sees them, the longest of ${rows.length}:`,
    "",
    ...table(
      ["kernel", "calls", "ms", "of all"],
      longest.map(({ kernel, calls, seconds }) => {
        return [kernel.slice(0, 60), String(calls), ms(1e3 * seconds), percent(seconds / total)];
      }),
    ),
  ];
}

export function kernelsTable({ ceilings, kernels }: KernelBenchResult): Lines {
  const far = [...kernels].sort((a, b) => a.fractionOfCeiling - b.fractionOfCeiling).slice(0, most.kernels);
  const reached =
    `copies ${(ceilings.bytesPerSecond / 1e12).toFixed(2)} TB/s, ` +
    `products ${(ceilings.flopsPerSecond / 1e12).toFixed(0)} TFLOP/s`;
  return [
    `Kernels at a step's sizes: those furthest from what this device reaches (${reached}), of ${kernels.length}:`,
    "",
    ...table(
      ["kernel", "us", "of the ceiling", "bound by"],
      far.map((row) => [kernelKey(row), us(row.seconds), percent(row.fractionOfCeiling), row.bound]),
    ),
  ];
}

export function gemmTable({ products }: GemmCandidates): Lines {
  return [
    "Products of a step of llama-370m with every algorithm that cuBLASLt's heuristic offers; without a product table a",
    "run takes the first:",
    "",
    ...table(
      ["product", "first, us", "best, us", "TFLOP/s", "best", "gain", "candidates"],
      products.flatMap(({ M, N, K, op, flops, seconds }) => {
        const running = seconds.filter((each) => each !== null);
        if (running.length === 0) return [];
        const [first, best] = [seconds[0]!, Math.min(...running)];
        const rate = (flops / best / 1e12).toFixed(0);
        const place = String(seconds.indexOf(best));
        const gain = percent(first === null ? null : first / best - 1);
        return [[`${M} x ${N} x ${K} ${op}`, us(first), us(best), rate, place, gain, String(running.length)]];
      }),
    ),
  ];
}

export function tunedLines({ products, firstSeconds, seconds }: Tuned): Lines {
  return [
    `\`nextpatch tune\` for llama-370m, ${products.length} products: those of a step at K = 1 and one at K = 4 take ` +
      `${ms(1e3 * firstSeconds)} ms by the first algorithms, ${ms(1e3 * seconds)} ms by the best ` +
      `(${percent(1 - seconds / firstSeconds)} less).`,
  ];
}

export function occupancyTable(rows: readonly KernelOccupancy[]): Lines {
  const text = (value: number | null | undefined) => (value == null ? "–" : String(value));
  return [
    "Attention's kernels on a multiprocessor, as the driver says; `check:cuda` counts the warps without a GPU:",
    "",
    ...table(
      ["kernel", "code", "threads", "registers", "shared", "local", "blocks", "warps", "counted"],
      rows.map((row) => [
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

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
