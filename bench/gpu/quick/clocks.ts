/** Clocks and power of the GPU while a step runs, sampled by nvidia-smi. */
import { type ChildProcess, spawn } from "node:child_process";

/** Of the samples in which the GPU was at work; null if there were none. */
export interface ClockSummary {
  readonly samples: number;
  readonly smMHz: { readonly least: number; readonly median: number; readonly most: number };
  readonly memoryMHz: number;
  readonly watts: { readonly mean: number; readonly most: number };
  readonly celsius: number;
}

const query = "clocks.sm,clocks.mem,power.draw,temperature.gpu,utilization.gpu";
const intervalMs = 200;
/** Per cent of the time in which a kernel ran. */
const atWork = 90;

/** Summarizes lines of `query`; what nvidia-smi cannot tell is `[N/A]` there, and is left out with its line. */
export function summarize(text: string): ClockSummary | null {
  const samples = text
    .trim()
    .split("\n")
    .map((line) => line.split(",").map(Number))
    .filter((values) => values.length === 5 && values.every(Number.isFinite) && values[4]! >= atWork);
  if (samples.length === 0) return null;
  const column = (index: number) => samples.map((values) => values[index]!).sort((a, b) => a - b);
  const [sm, memory, watts, celsius] = [column(0), column(1), column(2), column(3)];
  const middle = (sorted: readonly number[]) => sorted[sorted.length >> 1]!;
  return {
    samples: samples.length,
    smMHz: { least: sm[0]!, median: middle(sm), most: sm.at(-1)! },
    memoryMHz: middle(memory),
    watts: { mean: Math.round(watts.reduce((sum, value) => sum + value, 0) / watts.length), most: watts.at(-1)! },
    celsius: celsius.at(-1)!,
  };
}

/** Samples until `stop`. A machine without nvidia-smi gives no samples. */
export class ClockSampler {
  readonly #process: ChildProcess;
  #text = "";

  constructor() {
    const flags = [`--query-gpu=${query}`, "--format=csv,noheader,nounits", "--id=0", `--loop-ms=${intervalMs}`];
    this.#process = spawn("nvidia-smi", flags, { stdio: ["ignore", "pipe", "ignore"] });
    this.#process.on("error", () => {});
    this.#process.stdout!.setEncoding("utf8").on("data", (text: string) => (this.#text += text));
  }

  stop(): ClockSummary | null {
    this.#process.kill();
    return summarize(this.#text);
  }
}
