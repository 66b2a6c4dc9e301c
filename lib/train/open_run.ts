/** Opens everything that a run needs, and closes it again. */
import type { RunConfig } from "../config/config.js";
import type { ResolvedStage } from "../config/stages.js";
import { tokensPerByte } from "../data/bits_per_byte.js";
import type { BlockLoaderOptions } from "../data/loader.js";
import { verifyData } from "../data/verify_data.js";
import { Device, type DeviceSpec } from "../device.js";
import { listNames } from "../hf/unasked_tensors.js";
import { Llama } from "../nn/llama.js";
import type { ModelFolderExtras } from "../nn/model_folder.js";
import { loadTrainerTensors } from "./checkpoint.js";
import { CheckpointSaver } from "./checkpoint_saver.js";
import { Cleanup } from "./cleanup.js";
import type { RunPlan } from "./memory_plan.js";
import { peakFlops } from "./peak.js";
import { shortage } from "./plan_fit.js";
import { checkPlace } from "./product_table.js";
import { noProgress, type TrainerProgress } from "./progress.js";
import { prepareResumption } from "./resumption.js";
import { keepBase } from "./run_base.js";
import { checkRunData, closeRunData, openRunData, readRunData, recordRunData, restoreRunData } from "./run_data.js";
import { RunFolder } from "./run_folder.js";
import { RunHealth } from "./run_health.js";
import { RunMetrics } from "./run_metrics.js";
import { planConfig } from "./run_plan.js";
import { RunProducts } from "./run_products.js";
import { checkRecorded, keepTable, tableToBegin, tableToResume } from "./run_table.js";
import { keepTokenizer } from "./run_tokenizer.js";
import { Stepper } from "./stepper.js";
import type { CheckedOptions } from "./trainer_options.js";
import { readTrainerState } from "./trainer_state.js";

/** An opened run. */
export interface OpenRun {
  readonly config: RunConfig;
  readonly model: Llama;
  readonly stages: readonly ResolvedStage[];
  readonly folder: RunFolder;
  readonly plan: RunPlan;
  readonly dataset: BlockLoaderOptions["dataset"];
  /** Tokens per byte of the held-out text; null: unknown. */
  readonly heldOutTokensPerByte: number | null;
  readonly stepper: Stepper;
  readonly products: RunProducts;
  /** SHA-256 of the table that the products' algorithms are from; null: the library's choice. */
  readonly productTable: string | null;
  readonly extras: ModelFolderExtras;
  readonly saver: CheckpointSaver;
  /** Changes of the run's config, in words. */
  readonly notes: readonly string[];
  readonly health: RunHealth;
  /** FLOP/s that MFU is a fraction of; null if unknown. */
  readonly peak: number | null;
  /** The run's progress: at its beginning, or at the loaded checkpoint. */
  readonly progress: TrainerProgress;
  readonly metrics: RunMetrics;
  /** @throws ConfigError if another process has taken the run's folder */
  readonly checkOwned: () => Promise<void>;
  /** Frees all memory, closes the data and gives the folder back. */
  readonly close: () => Promise<void>;
}

/**
 * Opens device, data and model, allocates all memory, and creates the run's folder or resumes from its checkpoint. If
 * that fails, nothing stays open.
 * @throws ConfigError, DataError, CheckpointError, DeviceError, OutOfMemoryError
 */
export async function openRun(config: RunConfig, options: CheckedOptions): Promise<OpenRun> {
  const cleanup = new Cleanup();
  try {
    return await open(config, options, cleanup);
  } catch (error) {
    await cleanup.run().catch(() => undefined); // the first failure is reported
    throw error;
  }
}

async function open(
  config: RunConfig,
  { resume: wanted, from, force, verifyData: verifies, log }: CheckedOptions,
  cleanup: Cleanup,
): Promise<OpenRun> {
  const resume = wanted === "auto" ? await RunFolder.holdsRun(config.out) : wanted;
  const owned = await RunFolder.own(config, resume);
  cleanup.add(owned.release);
  const device = Device.open(config.device as DeviceSpec);
  if (config.device === "auto") log(`device: auto chose ${device.backend}: ${device.name}`);
  const dtype = device.computeDType(config.precision);
  if (config.precision === "auto") log(`precision: auto chose ${dtype === "bf16" ? "bf16" : "fp32"}`);

  const data = await openRunData(config, log);
  cleanup.add(() => closeRunData(data));
  const planned = await planConfig(config, device, data, { resume });
  const lack = shortage(device, planned);
  if (lack !== null) throw lack;
  const { stages, tokenizer, shape, heldOut, plan } = planned;
  if (verifies) await verifyData(data.datasets, data.identity, shape.vocab_size, log);

  const begun = resume ? await prepareResumption(config, { from, force, log }) : null;
  const table = await (begun ? tableToResume(config) : tableToBegin(config));
  if (table !== null) checkPlace(table, device);
  const { folder, checkpoint } = begun ?? { folder: await RunFolder.create(config), checkpoint: null };
  if (begun === null) await keepTable(folder.path, table);
  if (checkpoint !== null && !force) await restoreRunData(folder.path, checkpoint, log);
  if (begun === null || force) await recordRunData(folder.path, data);
  else await checkRunData(folder.path, data, log);
  const kept = tokenizer && (await keepTokenizer(config, tokenizer));
  const base = await keepBase(config);
  const state =
    begun === null || checkpoint === null ? null : await readTrainerState(checkpoint, begun.expected, stages);
  if (state !== null) checkRecorded(folder.path, table, state.productTable);
  const metrics = await RunMetrics.open(folder, state && { step: state.step, bytes: state.metricsBytes }, log);

  const peak = await peakFlops(device, dtype);
  const placement = { device, precision: config.precision };
  const model =
    "from" in config.init
      ? await Llama.load(config.init.from, placement)
      : Llama.create(shape, { ...placement, seed: config.init.seed });
  cleanup.add(() => model.dispose());
  if (model.unasked.length > 0) {
    log(`${model.folder}: passing over tensors that are none of the model's: ${listNames(model.unasked)}`);
  }
  device.trim(); // frees what measuring and loading left cached
  const products = await RunProducts.open(device, table, log);
  cleanup.add(() => products.close());
  const stepper = new Stepper(model, plan, stages, heldOut);
  cleanup.add(() => stepper.dispose());

  let progress = noProgress;
  if (checkpoint !== null && state !== null) {
    const { step, tokens, positions, flops, optimizerFlops, seconds, time, energy, data } = state;
    progress = { step, tokens, positions, flops, optimizerFlops, seconds, time, energy, data };
    await loadTrainerTensors(checkpoint, model.parameters, stepper.optimizer);
    const { stepsTaken } = stepper.optimizer;
    stepsTaken.write(new Int32Array(stepsTaken.size).fill(state.optimizerSteps));
    const total = stages.reduce((sum, { steps }) => sum + steps, 0);
    log(`going on from ${checkpoint}: step ${step} of ${total}`);
  } else if (resume) {
    log(`${config.out} has no checkpoint yet: beginning at step 0`);
  }
  const extras = {
    ...(kept && { tokenizer: { ...kept, maxLength: shape.max_position_embeddings } }),
    ...(base !== null && { base }),
  };
  const { parameters } = model;
  const { checkpoints } = folder;
  const dataRecord = await readRunData(folder.path);
  const saved = {
    checkpoints,
    data: dataRecord,
    parameters,
    optimizer: stepper.optimizer,
    extras,
    best: state?.best ?? null,
  };
  const saver = await CheckpointSaver.open({ ...saved, config: config.checkpoint }, log);
  cleanup.add(() => saver.close());
  await begun?.commit(state);
  const health = new RunHealth(config, state, checkpoints, log);
  const close = () => cleanup.run();
  const productTable = table?.sha256 ?? null;
  return {
    config,
    model,
    stages,
    folder,
    plan,
    dataset: data.train,
    heldOutTokensPerByte: data.val && tokensPerByte(data.val, data.identity.folders),
    stepper,
    products,
    productTable,
    extras,
    saver,
    notes: begun?.notes ?? [],
    health,
    peak,
    progress,
    metrics,
    checkOwned: owned.check,
    close,
  };
}
