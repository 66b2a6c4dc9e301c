import { Arguments } from "../arguments.js";
import { parseRunConfig } from "../config/config.js";
import { type Recompute, recomputeKinds } from "../config/recompute.js";
import { resolveStages } from "../config/stages.js";
import { checkPrecision, Device, type PrecisionSpec } from "../device.js";
import { Llama } from "../nn/llama.js";
import { plannedBytes, planRun } from "../train/memory_plan.js";
import { peakFlops } from "../train/peak.js";
import { checkPlace, readTable } from "../train/product_table.js";
import { RunProducts } from "../train/run_products.js";
import { Stepper } from "../train/stepper.js";

/** The training step to time. */
export interface TrainBenchOptions {
  /** The `model` section of a run config: `{ preset }` or the keys of a Hugging Face LlamaConfig. */
  readonly model: Record<string, unknown>;
  /** K: tokens per position. */
  readonly patchSize: number;
  /** T: positions of a sequence. */
  readonly sequenceLength: number;
  /** Tokens of a step: a multiple of patchSize * sequenceLength. */
  readonly tokensPerStep: number;
  /** Of activations and matrix products. */
  readonly precision: PrecisionSpec;
  /** Timed steps, after two that warm up. Default 5. */
  readonly steps?: number;
  /** Sequences per pass. Default auto. */
  readonly microBatch?: number | "auto";
  /** What the backward computes again, to keep less. Default none. */
  readonly recompute?: Recompute;
  /** The file of `nextpatch tune` with the algorithms of matrix products. Default null: the library's choice. */
  readonly productTable?: string | null;
  /** Called with messages for the user: how many products are in the table. */
  readonly log?: (message: string) => void;
  /** Called with the number of steps done, warm-up included, and the total. */
  readonly onStep?: (done: number, of: number) => void;
}

/** What a training step costs. */
export interface TrainBenchResult {
  /** By the median step. */
  readonly tokensPerSecond: number;
  /** By the median step. */
  readonly positionsPerSecond: number;
  /** Median. */
  readonly secondsPerStep: number;
  /** Model FLOP/s as a fraction of the device's peak; null if the peak is unknown. */
  readonly mfu: number | null;
  /** The most device bytes that the run had in use at once, without those of others in the process. */
  readonly peakBytes: number;
}

const warmupSteps = 2;

/**
 * Times whole training steps (forward, backward, AdamW, the read-back of loss and norm) on random tokens.
 * @throws TypeError or RangeError for a wrong argument, including sizes that do not fit each other
 * @throws ConfigError for an invalid model, one whose context is shorter than the sequences, or a product table that is
 *   not one for this device
 * @throws DeviceError, OutOfMemoryError
 *
 * @example
 * ```ts
 * import { benchTrainStep, Device } from "nextpatch";
 *
 * const { tokensPerSecond, mfu } = await benchTrainStep(Device.open("auto"), {
 *   model: { preset: "tiny" },
 *   patchSize: 4,
 *   sequenceLength: 32,
 *   tokensPerStep: 1024,
 *   precision: "auto",
 * });
 * console.log(tokensPerSecond, mfu);
 * ```
 */
export async function benchTrainStep(device: Device, options: TrainBenchOptions): Promise<TrainBenchResult> {
  checkArguments(device, options);
  const { model: section, patchSize, sequenceLength, tokensPerStep, precision, microBatch = "auto" } = options;
  const { recompute = "none", productTable = null } = options;
  const timed = options.steps ?? 5;
  const config = parseRunConfig(
    {
      name: "bench",
      model: section,
      data: { train: "none" },
      stages: [{ patchSize }],
      batch: { tokensPerStep, sequenceLength, microBatch },
      train: { steps: warmupSteps + timed },
      precision,
      recompute,
    },
    "benchTrainStep",
  );
  const stages = resolveStages(config, tokensPerStep);
  const stage = stages[0]!;
  const dtype = device.computeDType(precision);
  const table = productTable === null ? null : await readTable(productTable);
  if (table !== null) checkPlace(table, device);
  const plan = planRun(device, { config: config.model!, dtype, recompute: config.recompute }, stages, null);
  const peak = await peakFlops(device, dtype);
  device.trim(); // frees what measuring left cached
  const before = device.memory();
  await using products = await RunProducts.open(device, table, options.log);
  using model = Llama.create(config.model!, { device, precision });
  using stepper = new Stepper(model, plan, stages, null);
  const times: number[] = [];
  for (let step = 0; step < warmupSteps + timed; step++) {
    const tokens = Int32Array.from({ length: tokensPerStep }, () =>
      Math.floor(Math.random() * model.config.vocab_size),
    );
    const start = performance.now();
    await stepper.step(0, tokens, 1e-4);
    if (step >= warmupSteps) times.push((performance.now() - start) / 1000);
    if (step === 0) await products.report();
    options.onStep?.(step + 1, warmupSteps + timed);
  }
  const after = device.memory();
  // The device's peak may predate the run; then what the run holds at its end is its peak. Memory
  // of others that is collected meanwhile makes either too small, but never below the run's plan.
  const most = after.peakUsedBytes > before.peakUsedBytes ? after.peakUsedBytes : after.usedBytes;
  const peakBytes = Math.max(most - before.usedBytes, plannedBytes(device, plan));
  const seconds = times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
  return {
    tokensPerSecond: tokensPerStep / seconds,
    positionsPerSecond: stage.positionsPerStep / seconds,
    secondsPerStep: seconds,
    mfu: peak && stepper.flopsPerStep(stage) / seconds / peak,
    peakBytes,
  };
}

function checkArguments(device: Device, options: TrainBenchOptions): void {
  const check = new Arguments("benchTrainStep");
  check.instance("device", device, Device);
  const { model, patchSize, sequenceLength, tokensPerStep, precision } = check.options("options", options, [
    "model",
    "patchSize",
    "sequenceLength",
    "tokensPerStep",
    "precision",
    "steps",
    "microBatch",
    "recompute",
    "productTable",
    "log",
    "onStep",
  ]);
  const { steps = 5, microBatch = "auto", recompute = "none", productTable = null, log, onStep } = options;
  check.object("model", model);
  check.wholeNumber("patchSize", patchSize, 1);
  check.wholeNumber("sequenceLength", sequenceLength, 2);
  const block = patchSize * sequenceLength;
  const fills = (tokens: number) => Number.isSafeInteger(tokens) && tokens >= 1 && tokens % block === 0;
  check.number("tokensPerStep", tokensPerStep, `a multiple of patchSize * sequenceLength = ${block}`, fills);
  checkPrecision(check, "precision", precision);
  check.wholeNumber("steps", steps, 1);
  check.oneOf("recompute", recompute, recomputeKinds);
  if (microBatch !== "auto") {
    const sequences = tokensPerStep / block;
    const divides = (batch: number) => Number.isInteger(batch) && batch >= 1 && sequences % batch === 0;
    check.number("microBatch", microBatch, `auto or a divisor of the ${sequences} sequences of a step`, divides);
  }
  if (productTable !== null) check.path("productTable", productTable, "the name of a file or null");
  check.callback("log", log);
  check.callback("onStep", onStep);
}
