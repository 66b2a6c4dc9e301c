/** `nextpatch plan`: what a run will take on hardware that one does not have. */
import { type Command, InvalidArgumentError } from "commander";
import { loadRunConfig, type RunConfig } from "../config/config.js";
import type { Recompute } from "../config/recompute.js";
import { ConfigError, OutOfMemoryError } from "../errors.js";
import { findGpu, type GpuName, gpuNamed, gpuNames } from "../plan/gpus.js";
import { type ClusterPlan, type PlannedTraining, planCluster } from "../plan/plan.js";
import { type Cluster, nodesOf, type Ring } from "../plan/ring.js";
import { closeRunData, openRunData } from "../train/run_data.js";
import { modelShape } from "../train/setup.js";
import { collect, numberBetween, wholeNumber } from "./arguments.js";
import { clusterText, formatGibibytes } from "./cluster_text.js";
import type { CliIo } from "./io.js";

interface Flags {
  readonly gpus: number;
  readonly gpu: GpuName;
  readonly gpusPerNode: number;
  readonly net?: number;
  readonly mfu?: number;
  readonly set?: string[];
}

/** The share of the peak that is taken if none is given. A forward pass that is computed twice does not count in it. */
const assumedMfu = { none: 0.4, elementwise: 0.4, block: 0.3 } as const satisfies Record<Recompute, number>;

export function registerPlan(program: Command, io: CliIo): void {
  program
    .command("plan")
    .description(
      "say what a run will take on GPUs that are not here, token by token and in its stages: step time, memory, days, " +
        "GPU-hours; an estimate, by nothing but arithmetic",
    )
    .argument("<config>", "run config")
    .requiredOption("--gpus <N>", "how many GPUs", wholeNumber(1))
    .requiredOption("--gpu <name>", `which: ${gpuNames.join(", ")}`, gpuName)
    .option("--gpus-per-node <N>", "GPUs of a machine, which its own links join", wholeNumber(1), 8)
    .option("--net <Gbit/s>", "network of each GPU, needed for more than one machine", numberBetween(0.1, 1e5))
    .option(
      "--mfu <share>",
      `share of its peak that one GPU reaches, as bench train measures it (default: ${assumedMfu.none})`,
      numberBetween(0.01, 1),
    )
    .option(
      "--set <key=value>",
      "override a key of the config, for example --set batch.tokensPerStep=4194304 (repeatable)",
      collect,
    )
    .action(async (path: string, flags: Flags) => {
      const cluster = clusterOf(flags);
      const config = await loadRunConfig(path, { set: flags.set ?? [], log: io.log });
      const [shape, available] = [await modelShape(config, null), await tokensOfEpoch(config)];
      const mfu = flags.mfu ?? assumedMfu[config.recompute];
      const plan = planCluster({ label: path, config }, shape, available, cluster, mfu);
      const given = { mfu, assumed: flags.mfu === undefined };
      io.result(clusterText(plan, cluster, given), jsonOf(plan, cluster, given));
      const lacking = [plan.staged, plan.tokenLevel].find((training) => training && !training.memory.fits);
      if (lacking) throw shortage(lacking, cluster);
    });
}

function clusterOf({ gpu, gpus, gpusPerNode, net }: Flags): Cluster {
  const cluster = { gpu: gpuNamed(gpu), gpus, gpusPerNode };
  const nodes = nodesOf(cluster);
  if (nodes > 1 && net === undefined) {
    throw new ConfigError(
      `--net: expected the Gbit/s of each GPU's network, as ${gpus} GPUs are ${nodes} machines of ${gpusPerNode}, but ` +
        "received nothing",
    );
  }
  return { ...cluster, netBytesPerSecond: nodes === 1 ? null : (net! * 1e9) / 8 };
}

function gpuName(text: string): GpuName {
  const { name, hint } = findGpu(text);
  if (name !== null) return name;
  throw new InvalidArgumentError(`expected one of ${gpuNames.join(", ")}${hint}`);
}

/** Tokens of the training shards, which only a length in epochs needs. */
async function tokensOfEpoch(config: RunConfig): Promise<number> {
  if (config.train.epochs === undefined) return 0;
  const data = await openRunData(config);
  await closeRunData(data);
  return data.trainingTokens;
}

function shortage({ memory }: PlannedTraining, { gpu }: Cluster): OutOfMemoryError {
  const { bytes, usableBytes } = memory;
  return new OutOfMemoryError(
    `memory plan: expected at most ${formatGibibytes(usableBytes)} on each ${gpu.name} but received ` +
      `${formatGibibytes(bytes)}: recompute, a smaller batch.microBatch, more GPUs or a smaller model take less`,
    bytes,
    usableBytes,
  );
}

/** What `--json` prints. */
function jsonOf(
  { parameters, ring, bytesPerStep, tokenLevel, staged }: ClusterPlan,
  { gpu, gpus, gpusPerNode, netBytesPerSecond }: Cluster,
  { mfu, assumed }: { readonly mfu: number; readonly assumed: boolean },
) {
  const { name, peakFlops, memoryBytes, link } = gpu;
  const saves = staged && {
    flops: 1 - staged.total.flops / tokenLevel.total.flops,
    seconds: 1 - staged.total.seconds / tokenLevel.total.seconds,
    days: tokenLevel.total.days - staged.total.days,
    gpuHours: tokenLevel.total.gpuHours - staged.total.gpuHours,
  };
  return {
    gpu: { name, peakFlops, memoryBytes, link: link.kind },
    gpus,
    gpusPerNode,
    net: netBytesPerSecond === null ? null : (netBytesPerSecond * 8) / 1e9,
    mfu,
    mfuAssumed: assumed,
    parameters,
    ring: gpus === 1 ? null : ringJson(ring),
    bytesPerStep,
    tokenLevel: trainingJson(tokenLevel),
    staged: staged && trainingJson(staged),
    saves,
  };
}

function ringJson({ bytesPerSecond, limitedBy, latencySeconds }: Ring) {
  return { bytesPerSecond, limitedBy, latencySeconds };
}

function trainingJson({ stages, total, memory, mostGpus }: PlannedTraining) {
  const { items, bytes, usableBytes, fits } = memory;
  return {
    stages: stages.map(({ step: { seconds: secondsPerStep, ...step }, ...stage }) => {
      return { ...stage, secondsPerStep, ...step };
    }),
    ...total,
    memory: { items, bytes, usableBytes, fits },
    mostGpus,
  };
}
