/** `nextpatch train`: runs the stages of a config and writes a run folder. */
import { join } from "node:path";
import type { Command } from "commander";
import { loadRunConfig } from "../config/config.js";
import { formatDuration } from "../report/format.js";
import type { MetricsLine } from "../report/metrics.js";
import { Trainer } from "../train/trainer.js";
import { collect } from "./arguments.js";
import type { CliIo } from "./io.js";
import { planText } from "./plan_text.js";

interface Flags {
  readonly resume?: boolean;
  readonly set?: string[];
  readonly device?: string;
  readonly precision?: string;
}

export function registerTrain(program: Command, io: CliIo): void {
  program
    .command("train")
    .description("run the stages of a config (YAML or JSON) and write a run folder")
    .argument("<config>", "the config; docs/config.md lists its keys")
    .option("--resume", "go on from the run's latest checkpoint")
    .option("--set <key=value>", "override a key, as in --set batch.microBatch=4 (repeatable)", collect)
    .option("--device <device>", "the same as --set device=...")
    .option("--precision <precision>", "the same as --set precision=...")
    .action(async (path: string, flags: Flags) => train(path, flags, io));
}

async function train(path: string, flags: Flags, io: CliIo): Promise<void> {
  const set = [...(flags.set ?? [])];
  for (const key of ["device", "precision"] as const) if (flags[key] !== undefined) set.push(`${key}=${flags[key]}`);
  const config = await loadRunConfig(path, { set });
  const trainer = await Trainer.open(config, { resume: flags.resume === true, log: io.log });
  io.log(describe(trainer));
  io.log(planText(trainer.memoryPlan, trainer.model.device.memory().freeBytes));

  let interrupted = false;
  const onInterrupt = (): void => {
    interrupted = true;
    io.log("interrupted: finishing the step and saving a checkpoint (again to stop at once)");
  };
  // A terminal interrupts, a scheduler terminates: either way the work so far is kept.
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.once(signal, onInterrupt);
  const progress = io.progress("train");
  let last: MetricsLine | undefined;
  let valLoss: number | undefined;
  try {
    const pace = new Pace(trainer);
    for await (const line of trainer.run()) {
      last = line;
      valLoss = line.valLoss ?? valLoss;
      progress.update(line.step, trainer.totalSteps, pace.note(line, valLoss));
      if (interrupted) break;
    }
  } finally {
    progress.stop();
    for (const signal of signals) process.removeListener(signal, onInterrupt);
    await trainer.close();
  }
  if (interrupted && trainer.step < trainer.totalSteps) {
    throw new Error(`interrupted at step ${trainer.step} of ${trainer.totalSteps}; go on with --resume`);
  }
  const run = trainer.folder;
  const result = {
    run, model: join(run, "model"), report: join(run, "report.html"), steps: trainer.totalSteps,
    tokens: last?.tokens ?? 0, flops: last?.flops ?? 0, seconds: last?.seconds ?? 0,
    loss: last?.loss ?? null, valLoss: valLoss ?? null,
  };
  const validation = valLoss === undefined ? "" : `, validation loss ${valLoss.toFixed(4)}`;
  io.result(
    `${result.tokens} tokens in ${formatDuration(result.seconds)} of training${validation}\n` +
      `model:  ${result.model}\nreport: ${result.report}`,
    result,
  );
}

function describe({ model, stages }: Trainer): string {
  const parts = stages.map(
    ({ patchSize, steps, tokens }) => `K = ${patchSize} for ${steps} steps (${(tokens / 1e6).toFixed(2)} M tokens)`,
  );
  return `${(model.parameterCount / 1e6).toFixed(2)} M parameters; ${parts.join(", then ")}`;
}

/** Estimates the time left: a stage's steps cost what its last ones did, those of another stage the same a position. */
class Pace {
  #secondsPerPosition = 0;
  #lastSeconds = 0;
  #lastPositions = 0;

  constructor(private readonly trainer: Trainer) {}

  note(line: MetricsLine, valLoss: number | undefined): string {
    const recent = (line.seconds - this.#lastSeconds) / (line.positions - this.#lastPositions);
    this.#secondsPerPosition = this.#secondsPerPosition === 0 ? recent : 0.9 * this.#secondsPerPosition + 0.1 * recent;
    [this.#lastSeconds, this.#lastPositions] = [line.seconds, line.positions];
    const left = this.trainer.stages.reduce((sum, { firstStep, steps, positionsPerStep }) => {
      const stepsLeft = firstStep + steps - Math.max(firstStep, Math.min(line.step, firstStep + steps));
      return sum + stepsLeft * positionsPerStep;
    }, 0);
    return [
      `step ${line.step}/${this.trainer.totalSteps}`,
      `K ${line.patchSize}`,
      `loss ${line.loss.toFixed(3)}`,
      ...(valLoss === undefined ? [] : [`val ${valLoss.toFixed(3)}`]),
      `${Math.round(line.tokensPerSecond).toLocaleString("en")} tokens/s`,
      `ETA ${formatDuration(left * this.#secondsPerPosition)}`,
    ].join(" | ");
  }
}
