/** The section of docs/cuda-model.md on Muon: its operations as a step enqueues them, counted. */
import { type Cost, costs } from "../lib/bench/kernels/cost.js";
import { parseLlamaConfig } from "../lib/hf/config.js";
import { type PresetName, presets } from "../lib/hf/presets.js";
import { parameterLayout } from "../lib/nn/parameters.js";
import { hiddenRange, matrixStacks } from "../lib/optim/muon_layout.js";
import { stackSizes } from "../lib/optim/muon_stack.js";

/** Calls of one operation in a step. */
interface Calls {
  readonly name: string;
  readonly count: number;
  readonly bytes: number;
  readonly flops: number;
  readonly seconds: number;
}

/** Seconds of a call, from what it moves and computes. */
export type SecondsOf = (cost: Cost, rate: "memory" | "gemm", preset: PresetName) => number;

const bf16 = 2;
const nsSteps = 5;
/** Half a million. */
export const muonStepPositions = 2 ** 19;

/** The operations of a step of Muon on the layers' matrices, and what AdamW would take for them. */
export function muonCalls(preset: PresetName, secondsOf: SecondsOf): { muon: Calls[]; adamw: number } {
  const cost = costs(bf16);
  const layout = parameterLayout(parseLlamaConfig(presets[preset], preset));
  const called = new Map<string, Calls>();
  const add = (name: string, count: number, each: Cost, rate: "memory" | "gemm") => {
    const { count: before, bytes, flops, seconds } = called.get(name) ?? { count: 0, bytes: 0, flops: 0, seconds: 0 };
    called.set(name, {
      name,
      count: before + count,
      bytes: bytes + count * each.bytes,
      flops: flops + count * each.flops,
      seconds: seconds + count * secondsOf(each, rate, preset),
    });
  };
  for (const stack of matrixStacks(layout)) {
    const [least, most] = [Math.min(stack.rows, stack.columns), Math.max(stack.rows, stack.columns)];
    for (const { count: L } of stackSizes("cuda", stack)) {
      add("momentum, norm", 1, cost.muonMomentum(L * least * most), "memory");
      add("A = X X^T", nsSteps, cost.batchedMatmul(L, least, least, most, false), "gemm");
      add("B = bA + cAA", nsSteps, cost.batchedMatmul(L, least, least, least, true), "gemm");
      add("X = aX + BX", nsSteps, cost.batchedMatmul(L, least, most, least, true), "gemm");
      add("update", 1, cost.muonUpdate(L * least * most), "memory");
    }
  }
  const adamw = secondsOf(cost.adamw(hiddenRange(layout).size), "memory", preset);
  return { muon: [...called.values()], adamw };
}

const sum = (calls: readonly Calls[], key: "count" | "bytes" | "flops" | "seconds") =>
  calls.reduce((total, each) => total + each[key], 0);

/** @param stepSeconds of a step of `muonStepPositions` positions with AdamW */
export function muonSection(
  modelled: readonly PresetName[],
  stepSeconds: (preset: PresetName) => number,
  secondsOf: SecondsOf,
): string {
  const row = (name: string, calls: readonly Calls[]) =>
    `| ${name} | ${sum(calls, "count")} | ${(sum(calls, "bytes") / 1e9).toFixed(2)} | ` +
    `${(sum(calls, "flops") / 1e12).toFixed(2)} | ${(1e3 * sum(calls, "seconds")).toFixed(1)} |`;
  const detailed = muonCalls("llama-370m", secondsOf).muon;
  const shares = modelled.map((preset) => {
    const { muon, adamw } = muonCalls(preset, secondsOf);
    const [seconds, step] = [sum(muon, "seconds"), stepSeconds(preset)];
    const more = seconds - adamw;
    return (
      `| ${preset} | ${(sum(muon, "flops") / 1e12).toFixed(1)} | ${(1e3 * seconds).toFixed(1)} | ` +
      `${(1e3 * adamw).toFixed(1)} | ${(1e3 * step).toFixed(0)} | ${((100 * seconds) / step).toFixed(2)} | ` +
      `${((100 * more) / step).toFixed(2)} |`
    );
  });
  return [
    "## Muon",
    "",
    `What Muon (\`optimizer.type: muon\`, ${nsSteps} steps of Newton-Schulz) takes for the layers' matrices, on paper as above,`,
    `beside a step of 2^19 positions at K = 1. For llama-370m, by operation:`,
    "",
    "| operation | calls a step | GB | TFLOP | ms |",
    "|---|---|---|---|---|",
    ...detailed.map((each) => row(each.name, [each])),
    row("all", detailed),
    "",
    "AdamW takes the same time in every step for embedding, head and vectors; for the layers' matrices Muon takes its place.",
    "",
    "| model | Muon's TFLOP | Muon, ms | AdamW for the same, ms | a step, ms | Muon, % of it | more than AdamW, % |",
    "|---|---|---|---|---|---|---|",
    ...shares,
    "",
  ].join("\n");
}
