/** The numbers of the runs of an arm, one for each seed, and their means. */

import type { Environment } from "../report/environment.js";
import type { MetricsLine, TimeByPart } from "../report/metrics.js";
import { activeNeurons } from "./active_neurons.js";
import { average } from "./average.js";
import { sameSeconds } from "./environment.js";
import type { ArmEvaluation, FinalLoss } from "./run_evaluation.js";

/** A point of a validation curve: the cost so far, and the loss. */
export interface CurvePoint {
  /** Tokens of text trained on. */
  readonly tokens: number;
  readonly flops: number;
  /** Seconds of training, without evaluation and checkpoints; null: measured in an environment of its own. */
  readonly seconds: number | null;
  /** Token-level loss on the first `eval.sequences` held-out sequences, in nats per token. */
  readonly valLoss: number;
}

/** The run of a seed. */
export interface SeedResult extends FinalLoss {
  readonly seed: number;
  /** As the arm's. */
  readonly activeNeurons: number;
  /** Accuracy at cloze items; absent if there are none. */
  readonly clozeAccuracy?: number;
  readonly seconds: number;
  /** Joules if the device counts them, else null. */
  readonly energy: number | null;
  /** Where it was trained, as indices of the comparison's `environments`: several if it was resumed elsewhere. */
  readonly environments: readonly number[];
}

/** An arm: its cost, its final loss, its loss over the run, and what its final models are and can do: means over seeds. */
export interface RunResult extends FinalLoss, ArmEvaluation {
  readonly tokens: number;
  readonly flops: number;
  /** FLOPs of the optimizer's matrix products, which `flops` leaves out; 0 with AdamW. */
  readonly optimizerFlops: number;
  /** The share of neurons that are active, over all layers. */
  readonly activeNeurons: number;
  /** Of the runs in the comparison's main environment; null: there are none. So are `energy` and `time`. */
  readonly seconds: number | null;
  /** Joules if the device counts them, else null. */
  readonly energy: number | null;
  /** Where the seconds went. */
  readonly time: TimeByPart | null;
  readonly curve: readonly CurvePoint[];
  readonly runs: readonly SeedResult[];
}

/** What a finished run of one seed has left. */
export interface SeedRecord {
  readonly seed: number;
  /** Those of the evaluated steps: the last step is one. */
  readonly lines: readonly MetricsLine[];
  readonly evaluation: FinalLoss & ArmEvaluation;
  readonly environments: readonly Environment[];
}

/** The environments of a comparison, each once, and the one whose seconds are compared. */
export class Environments {
  readonly list: Environment[] = [];
  readonly #main: number;

  /** @param baseline the token-level runs: most of them were trained in the main environment */
  constructor(baseline: readonly SeedRecord[], others: readonly SeedRecord[]) {
    for (const { environments } of [...baseline, ...others]) for (const each of environments) this.#indexOf(each);
    const whole = baseline.map((run) => this.indices(run)).filter(({ length }) => length === 1);
    const runsIn = (index: number) => whole.filter(([own]) => own === index).length;
    this.#main = this.list.reduce((best, _, index) => (runsIn(index) > runsIn(best) ? index : best), 0);
  }

  indices({ environments }: SeedRecord): number[] {
    return [...new Set(environments.map((each) => this.#indexOf(each)))];
  }

  /** Whether the seconds of a run can be compared with those of the baseline. */
  isTimed(run: SeedRecord): boolean {
    const [index, ...others] = this.indices(run);
    return index === this.#main && others.length === 0;
  }

  #indexOf(environment: Environment): number {
    const found = this.list.findIndex((each) => sameSeconds(each, environment));
    return found >= 0 ? found : this.list.push(environment) - 1;
  }
}

/** The result of an arm whose runs are finished. */
export function armResult(records: readonly SeedRecord[], environments: Environments): RunResult {
  const timed = records.filter((record) => environments.isTimed(record)).map(({ lines }) => lines);
  const { tokens, flops, optimizerFlops = 0 } = records[0]!.lines.at(-1)!;
  const { valLoss, bitsPerByte, ...evaluation } = average(records.map((record) => record.evaluation));
  const seconds = meansOf(timed, ({ seconds }) => seconds);
  const losses = meansOf(
    records.map(({ lines }) => lines),
    ({ valLoss }) => valLoss!,
  );
  const curve = records[0]!.lines.map(({ tokens, flops }, index) => {
    return { tokens, flops, seconds: seconds?.[index] ?? null, valLoss: losses![index]! };
  });
  // A run ends with an evaluation, so its last line has its totals.
  const totals = timed.map((lines) => lines.at(-1)!);
  return {
    tokens,
    flops,
    seconds: curve.at(-1)!.seconds,
    valLoss,
    optimizerFlops,
    energy: totals.length === 0 ? null : average(totals.map(({ energy = null }) => energy)),
    time: totals.length === 0 ? null : average(totals.map(({ time = null }) => time)),
    curve,
    ...(bitsPerByte !== undefined && bitsPerByte !== null && { bitsPerByte }),
    ...evaluation,
    activeNeurons: activeNeurons(evaluation.activations),
    runs: records.map((record) => seedResult(record, environments)),
  };
}

function seedResult(record: SeedRecord, environments: Environments): SeedResult {
  const { seconds, energy = null } = record.lines.at(-1)!;
  const { valLoss, bitsPerByte, activations, cloze } = record.evaluation;
  return {
    seed: record.seed,
    valLoss,
    ...(bitsPerByte !== undefined && { bitsPerByte }),
    activeNeurons: activeNeurons(activations),
    ...(cloze && { clozeAccuracy: cloze.accuracy }),
    seconds,
    energy,
    environments: environments.indices(record),
  };
}

/** The mean over runs of a number of each line; null if there are no runs. */
function meansOf(runs: readonly (readonly MetricsLine[])[], value: (line: MetricsLine) => number): number[] | null {
  return runs.length === 0 ? null : average(runs.map((lines) => lines.map(value)));
}
