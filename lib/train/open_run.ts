/** Opens everything that a run needs, and closes it again. */
import { hostname } from "node:os";
import type { RunConfig } from "../config/config.js";
import { type ResolvedStage, stepsOf } from "../config/stages.js";
import { endlessWarmups } from "../config/warmup.js";
import { tokensPerByte } from "../data/bits_per_byte.js";
import type { BlockLoaderOptions } from "../data/loader.js";
import { verifyData } from "../data/verify_data.js";
import type { DeviceSpec } from "../device.js";
import type { OwnedFolder } from "../disk/owned_folder.js";
import { listNames } from "../hf/unasked_tensors.js";
import { Llama } from "../nn/llama.js";
import type { ModelFolderExtras } from "../nn/model_folder.js";
import { openRankDevice } from "../ranks/rank_device.js";
import { checkLabels } from "./check_labels.js";
import { loadTrainerTensors } from "./checkpoint.js";
import { CheckpointSaver, keptBest } from "./checkpoint_saver.js";
import { Cleanup } from "./cleanup.js";
import { joinRanks, leadsRun } from "./join_ranks.js";
import { keptStages, withKept } from "./kept_stages.js";
import type { RunPlan } from "./memory_plan.js";
import { peakFlops } from "./peak.js";
import { shortage } from "./plan_fit.js";
import { noProgress, type TrainerProgress } from "./progress.js";
import { checkSameData, closeRunData, openRunData, shardsOf } from "./run_data.js";
import { RunFolder } from "./run_folder.js";
import { RunHealth } from "./run_health.js";
import type { RunMetrics } from "./run_metrics.js";
import { modelOf, planConfig, resolverOf } from "./run_plan.js";
import { RunProducts } from "./run_products.js";
import type { RunRanks } from "./run_ranks.js";
import { noStart, openRecord } from "./run_record.js";
import { RunReport } from "./run_report.js";
import { tableToBegin, tableToResume } from "./run_table.js";
import { Stepper } from "./stepper.js";
import type { CheckedOptions } from "./trainer_options.js";

/** An opened run. */
export interface OpenRun {
  readonly config: RunConfig;
  readonly ranks: RunRanks;
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
  readonly health: RunHealth;
  /** FLOP/s of all ranks, which MFU is a fraction of; null if unknown. */
  readonly peak: number | null;
  /** The run's progress: at its beginning, or at the loaded checkpoint. */
  readonly progress: TrainerProgress;
  /** Null: another rank writes them. */
  readonly metrics: RunMetrics | null;
  /** Null likewise. */
  readonly report: RunReport | null;
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

async function open(given: RunConfig, options: CheckedOptions, cleanup: Cleanup): Promise<OpenRun> {
  const { verifyData: verifies, log } = options;
  const own = await takeFolder(given, options, cleanup);
  const device = openRankDevice(given.device as DeviceSpec, given.parallel.devices);
  if (given.device === "auto") log(`device: auto chose ${device.backend}: ${device.name}`);
  const dtype = device.computeDType(given.precision);
  if (given.precision === "auto") log(`precision: auto chose ${dtype === "bf16" ? "bf16" : "fp32"}`);
  const ranks = await joinRanks(given, device);
  cleanup.add(() => ranks.dispose());
  const places = await ranks.all({ host: hostname(), device: `${device.backend} (${device.name})` });
  const resume = await ranks.tell(own?.resume ?? false);

  const data = await openRunData(given, log, options.datasets);
  cleanup.add(() => closeRunData(data));
  checkSameData(await ranks.all(shardsOf(data)));
  const resolve = async (each: RunConfig) => resolverOf(data, (await modelOf(each, data, resume)).shape)(each);
  const mayExtend = own?.resume && !options.force;
  const kept = await ranks.tell(mayExtend ? await keptStages(given, options.from, resolve) : null);
  const config = kept === null ? given : withKept(given, kept);
  const planned = await planConfig(config, device, data, { resume, share: ranks.share });
  const lack = shortage(device, planned);
  if (lack !== null) throw lack;
  const { stages, shape, heldOut, plan } = planned;
  await checkLabels(data, config, stages);
  for (const each of endlessWarmups(stages)) log(each);
  if (verifies) await verifyData(data.datasets, data.identity, shape.vocab_size, log);

  const record = own && (await openRecord(config, options, { resume, device, data, planned }));
  const { checkpoint, state, productTable } = await ranks.tell(record?.start ?? noStart);
  const table = record === null ? await (resume ? tableToResume(config) : tableToBegin(config)) : record.table;

  const ofOne = await peakFlops(device, dtype);
  const peak = ofOne && ofOne * ranks.share.size;
  const placement = { device, precision: config.precision, share: ranks.share };
  const model =
    "from" in config.init
      ? await Llama.load(config.init.from, placement)
      : Llama.create(shape, { ...placement, seed: config.init.seed });
  cleanup.add(() => model.dispose());
  if (model.unasked.length > 0) {
    log(`${model.folder}: passing over tensors that are none of the model's: ${listNames(model.unasked)}`);
  }
  model.parameters.keepOwn();
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
    log(`going on from ${checkpoint}: step ${step} of ${stepsOf(stages)}`);
  } else if (resume) {
    log(`${config.out} has no checkpoint yet: beginning at step 0`);
  }
  const folder = record?.folder ?? RunFolder.at(config);
  const { parameters } = model;
  const { checkpoints } = folder;
  const extras = record?.extras ?? {};
  const best = await ranks.tell(record && (await keptBest(checkpoints, config.checkpoint, state?.best ?? null)));
  const saved = {
    checkpoints,
    data: record?.data ?? null,
    parameters,
    optimizer: stepper.optimizer,
    extras,
    best,
    writes: ranks.leads,
  };
  const { onCheckpoint } = options;
  const saver = await CheckpointSaver.open({ ...saved, config: config.checkpoint, onCheckpoint }, log, (copies) =>
    ranks.tell(copies),
  );
  cleanup.add(() => saver.close());
  await record?.commit(state);
  const health = new RunHealth(config, state, checkpoints, log);
  const report =
    record && (await RunReport.open(record, { config, model, data, planned, places, step: progress.step }));
  const close = () => cleanup.run();
  return {
    config,
    ranks,
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
    health,
    peak,
    progress,
    metrics: record?.metrics ?? null,
    report,
    checkOwned: own?.check ?? (async () => undefined),
    close,
  };
}

/** Takes the run's folder, and finds out whether the run goes on; null: another rank has it. */
async function takeFolder(
  config: RunConfig,
  { resume: wanted }: CheckedOptions,
  cleanup: Cleanup,
): Promise<{ resume: boolean; check: OwnedFolder["check"] } | null> {
  if (!leadsRun()) return null;
  const resume = wanted === "auto" ? await RunFolder.holdsRun(config.out) : wanted;
  const { release, check } = await RunFolder.own(config, resume);
  cleanup.add(release);
  return { resume, check };
}
