/** `nextpatch bench`: how fast this machine trains. */
import { type Command, Option } from "commander";
import { show } from "../arguments.js";
import { benchKernels } from "../bench/kernels/run.js";
import { kernelTable } from "../bench/kernels/table.js";
import { benchTrainStep, type TrainBenchOptions } from "../bench/train_step.js";
import { type Recompute, recomputeKinds } from "../config/recompute.js";
import { Device } from "../device.js";
import { inputLimits } from "../disk/input_limits.js";
import { parseJsonOf } from "../disk/json.js";
import { readText } from "../disk/read_text.js";
import { ConfigError } from "../errors.js";
import { presetNames } from "../hf/presets.js";
import { type PlacementFlags, wholeNumber, withPlacement } from "./arguments.js";
import type { CliIo } from "./io.js";
import { fromFlags } from "./usage.js";

interface Flags extends PlacementFlags {
  readonly model: string;
  readonly patchSize: number;
  readonly sequenceLength: number;
  readonly tokensPerStep: number;
  readonly steps: number;
  readonly microBatch?: number;
  readonly recompute: Recompute;
  readonly productTable?: string;
}

/** The flags that `benchTrainStep` gets its options from. */
const flagOf = {
  model: "--model",
  patchSize: "--patch-size",
  sequenceLength: "--sequence-length",
  tokensPerStep: "--tokens-per-step",
  steps: "--steps",
  microBatch: "--micro-batch",
  recompute: "--recompute",
  productTable: "--product-table",
};

export function registerBench(program: Command, io: CliIo): void {
  const bench = program.command("bench").description("measure how fast this machine trains");
  registerKernels(bench, io);
  registerTrainStep(bench, io);
}

function registerKernels(bench: Command, io: CliIo): void {
  const command = bench
    .command("kernels")
    .description(
      "time each operation of a training step and compare it with the bandwidth and FLOP/s measured on this device",
    );
  withPlacement(command).action(async (flags: PlacementFlags) => {
    const device = open(flags, io);
    const progress = io.progress("bench kernels");
    const result = await benchKernels(device, {
      precision: flags.precision,
      onKernel: (done, of, name) => progress.update(done, of, name),
    }).finally(() => progress.stop());
    io.result(kernelTable(result), result);
  });
}

function registerTrainStep(bench: Command, io: CliIo): void {
  const command = bench
    .command("train")
    .description("time whole training steps on random tokens")
    .requiredOption("--model <preset-or-json>", `${presetNames.join(", ")}, a config.json, or JSON as text`)
    .option("--patch-size <K>", "tokens per patch", wholeNumber(1), 1)
    .option("--sequence-length <T>", "positions per sequence", wholeNumber(2), 256)
    .option("--tokens-per-step <N>", "tokens per optimizer step", wholeNumber(1), 16384)
    .option("--steps <N>", "timed steps", wholeNumber(1), 5)
    .option("--micro-batch <N>", "sequences per forward and backward pass (default: auto)", wholeNumber(1))
    .addOption(
      new Option("--recompute <what>", "what the backward computes again, to keep less in memory")
        .choices([...recomputeKinds])
        .default("none"),
    )
    .option("--product-table <file>", "file of nextpatch tune with the algorithms of matrix products");
  withPlacement(command).action(async (flags: Flags) => {
    const model = await readModel(flags.model);
    const device = open(flags, io);
    const progress = io.progress("bench train");
    const options: TrainBenchOptions = {
      model,
      patchSize: flags.patchSize,
      sequenceLength: flags.sequenceLength,
      tokensPerStep: flags.tokensPerStep,
      precision: flags.precision,
      steps: flags.steps,
      microBatch: flags.microBatch ?? "auto",
      recompute: flags.recompute,
      productTable: flags.productTable ?? null,
      log: io.log,
      onStep: (done, of) => progress.update(done, of, `step ${done}/${of}`),
    };
    const bench = fromFlags("benchTrainStep", flagOf, () => benchTrainStep(device, options));
    const result = await bench.finally(() => progress.stop());
    const utilisation = result.mfu === null ? "" : `, ${(100 * result.mfu).toFixed(1)} % of peak FLOP/s`;
    io.result(
      `${Math.round(result.tokensPerSecond)} tokens/s, ${Math.round(result.positionsPerSecond)} positions/s, ` +
        `${result.secondsPerStep.toFixed(3)} s per step${utilisation}, ` +
        `peak memory ${(result.peakBytes / 2 ** 20).toFixed(0)} MiB`,
      result,
    );
  });
}

function open({ device: spec, precision }: PlacementFlags, io: CliIo): Device {
  const device = Device.open(spec);
  io.log(`${device.backend}: ${device.name}, ${device.computeDType(precision) === "bf16" ? "bf16" : "fp32"}`);
  return device;
}

async function readModel(argument: string): Promise<Record<string, unknown>> {
  if ((presetNames as readonly string[]).includes(argument)) return { preset: argument };
  const text = argument.trimStart().startsWith("{")
    ? argument
    : await readText(argument, inputLimits.smallJson).catch(() => null);
  if (text === null) {
    throw new ConfigError(
      `--model: expected ${presetNames.join(", ")}, a config.json or JSON but received ${show(argument)}`,
    );
  }
  return parseJsonOf(text, "--model", ConfigError) as Record<string, unknown>;
}
