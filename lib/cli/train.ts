/** `nextpatch train`: runs the stages of a config and writes a run folder. */
import { join } from "node:path";
import type { Command } from "commander";
import { checkRanks, startedRanks } from "../config/rank_checks.js";
import { formatDuration, formatMebibytes } from "../report/format.js";
import { lastMetrics, type MetricsLine } from "../report/metrics.js";
import { leadsRun, leaveRanks } from "../train/join_ranks.js";
import { stageCosts } from "../train/stage_costs.js";
import { Trainer } from "../train/trainer.js";
import { deviceNumbers, wholeNumber, withOverrides } from "./arguments.js";
import { type CliIo, silent } from "./io.js";
import { manualPage } from "./manual.js";
import { planText, stageText } from "./plan_text.js";
import { loadRankedConfig, type RankFlags } from "./ranked_config.js";
import { type ResumeFlags, resumeOptions, withResume } from "./resume_flags.js";
import { RunSignals } from "./run_signals.js";
import { fromFlags } from "./usage.js";

interface Flags extends RankFlags, ResumeFlags {
  readonly verifyData?: boolean;
}

export function registerTrain(program: Command, io: CliIo): void {
  const command = program
    .command("train")
    .description("run the stages of a config (YAML or JSON) and write a run folder")
    .argument("<config>", `config file; ${manualPage("config.md")} lists its keys`)
    .option(
      "--ranks <N>",
      "train by N processes of this machine, on cpu; the same as --set parallel.ranks=N",
      wholeNumber(1),
    )
    .option(
      "--devices <numbers>",
      "train by a process on each of these GPUs of this machine, for example 0,1",
      deviceNumbers,
    )
    .option("--verify-data", "read every byte of the data first, and compare it with the hashes in dataset.json");
  withOverrides(withResume(command)).action(async (path: string, flags: Flags) => train(path, flags, io));
}

async function train(path: string, flags: Flags, output: CliIo): Promise<void> {
  const io = leadsRun() ? output : silent;
  const config = await loadRankedConfig(path, flags, io, (loaded) => checkRanks(loaded, startedRanks(loaded.parallel)));
  if (config === null) return;
  const options = { ...resumeOptions(flags), verifyData: flags.verifyData ?? false, log: io.log };
  const trainer = await fromFlags("Trainer.open", { from: "--from" }, () => Trainer.open(config, options));
  io.log(describe(trainer));
  io.log(planText(trainer.memoryPlan, trainer.copyBytes, trainer.model.device.memory().freeBytes));

  const signals = new RunSignals(config, io, () => trainer.requestCheckpoint());
  const stop = () => trainer.requestStop();
  if (signals.signal.aborted) stop();
  else signals.signal.addEventListener("abort", stop);
  const progress = io.progress("train");
  try {
    const pace = new Pace(trainer);
    for await (const line of trainer.run()) {
      progress.update(line.step, trainer.totalSteps, pace.note(line), pace.extra(line));
    }
  } finally {
    progress.stop();
    signals.stop();
    await trainer.close();
  }
  if (trainer.step < trainer.totalSteps) {
    await leaveRanks();
    throw new Error(`interrupted at step ${trainer.step} of ${trainer.totalSteps}; go on with --resume`);
  }
  if (leadsRun()) io.result(...(await summary(trainer)));
}

/** The result of the whole run, as text and as `--json` prints it, whichever part of it this process trained. */
async function summary({ folder, totalSteps, progress, skippedUpdates }: Trainer): Promise<[string, object]> {
  // A run that is evaluated is so after its last step.
  const last = await lastMetrics(join(folder, "metrics.jsonl"));
  const { tokens, flops, optimizerFlops, seconds } = progress;
  const { loss = null, valLoss = null, valBitsPerByte } = last ?? {};
  const result = {
    run: folder,
    model: join(folder, "model"),
    report: join(folder, "report.html"),
    steps: totalSteps,
    tokens,
    flops,
    ...(optimizerFlops > 0 && { optimizerFlops }),
    seconds,
    loss,
    valLoss,
    skippedUpdates,
    ...(valBitsPerByte !== undefined && { valBitsPerByte }),
  };
  const bits = valBitsPerByte === undefined ? "" : ` (${valBitsPerByte.toFixed(4)} bits per byte)`;
  const validation = valLoss === null ? "" : `, validation loss ${valLoss.toFixed(4)}${bits}`;
  const words =
    `${tokens} tokens in ${formatDuration(seconds)} of training${validation}\n` +
    (skippedUpdates === 0 ? "" : `${skippedUpdates} updates were skipped\n`) +
    `model:  ${result.model}\nreport: ${result.report}`;
  return [words, result];
}

function describe({ model, stages }: Trainer): string {
  const parts = stageCosts(stages, model.config).map(stageText);
  const { size } = model.parameters.sharding.share;
  const by = size === 1 ? "" : `, by ${size} ranks`;
  return `${(model.parameterCount / 1e6).toFixed(2)} M parameters${by}; ${parts.join("; then ")}`;
}

const memoryText = (bytes: number): string =>
  bytes < 2 ** 30 ? formatMebibytes(bytes) : `${(bytes / 2 ** 30).toFixed(2)} GiB`;

/** Estimates the time left: steps of this stage cost what its last ones did, other stages the same per position. */
class Pace {
  #secondsPerPosition = 0;
  #lastSeconds: number;
  #lastPositions: number;
  /** The last evaluation, in words. */
  #validation: string[] = [];
  /** Of the device, in use once the first step has been trained. */
  #memory: string | null = null;

  constructor(private readonly trainer: Trainer) {
    ({ seconds: this.#lastSeconds, positions: this.#lastPositions } = trainer.progress);
  }

  note(line: MetricsLine): string {
    const { valLoss, valBitsPerByte: bits } = line;
    if (valLoss !== undefined) {
      this.#validation = [`val ${valLoss.toFixed(3)}${bits === undefined ? "" : ` (${bits.toFixed(3)} bits/byte)`}`];
    }
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
      ...this.#validation,
      `${Math.round(line.tokensPerSecond).toLocaleString("en")} tokens/s`,
      `ETA ${formatDuration(left * this.#secondsPerPosition)}`,
    ].join(" | ");
  }

  /** What a wide terminal has room for. */
  extra({ lr, gradNorm, mfu }: MetricsLine): string[] {
    this.#memory ??= memoryText(this.trainer.model.device.memory().usedBytes);
    return [
      `lr ${lr.toExponential(2)}`,
      `norm ${gradNorm.toPrecision(3)}`,
      this.#memory,
      ...(mfu === null ? [] : [`MFU ${Math.round(100 * mfu)}%`]),
    ];
  }
}
