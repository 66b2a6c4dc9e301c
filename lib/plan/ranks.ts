/** How many ranks can share a run's steps. */
import { greatestCommonDivisor } from "../config/divisors.js";
import type { ResolvedStage } from "../config/stages.js";
import { ConfigError } from "../errors.js";
import { type Cluster, nodesOf } from "./ring.js";

type Nodes = Pick<Cluster, "gpus" | "gpusPerNode">;

/**
 * Checks that so many GPUs can share a run.
 * @param label how messages name the run
 * @throws ConfigError with the nearest number of ranks that can, and the largest
 */
export function checkGpus(label: string, stages: readonly ResolvedStage[], cluster: Nodes): void {
  const { gpus, gpusPerNode } = cluster;
  if (nodesOf(cluster) > 1 && gpus % gpusPerNode !== 0) {
    const below = gpus - (gpus % gpusPerNode);
    throw new ConfigError(
      `--gpus: expected a multiple of the ${gpusPerNode} GPUs of a node (--gpus-per-node) but received ${gpus}; the ` +
        `nearest are ${below} and ${below + gpusPerNode}`,
    );
  }
  if (gpus > 1 && stages.some(({ optimizer }) => optimizer.type === "muon")) {
    throw new ConfigError(
      `--gpus: expected 1 for optimizer.type muon, which needs whole matrices on one GPU, but received ${gpus}`,
    );
  }
  for (const stage of stages) checkStage(label, stage, stages, cluster);
}

function checkStage(label: string, stage: ResolvedStage, stages: readonly ResolvedStage[], cluster: Nodes): void {
  const { gpus } = cluster;
  const { index, patchSize, sequencesPerStep, microBatch } = stage;
  const name = `${label}, stages[${index}] (K = ${patchSize})`;
  if (sequencesPerStep % gpus !== 0) {
    const [most, ...smaller] = possibleRanks(stages, cluster);
    const below = smaller.find((ranks) => ranks < gpus);
    const nearest = most! > gpus && below !== undefined ? `, ${below} the nearest below` : "";
    throw new ConfigError(
      `--gpus: expected a divisor of the ${sequencesPerStep} sequences in a step of ${name} but received ${gpus}; the ` +
        `largest that works is ${most}${nearest}; a larger batch has more sequences`,
    );
  }
  const ofRank = sequencesPerStep / gpus;
  if (microBatch === "auto" || ofRank % microBatch === 0) return;
  throw new ConfigError(
    `batch.microBatch: expected auto or a divisor of the ${ofRank} sequences that each of ${gpus} GPUs has in a step of ` +
      `${name} but received ${microBatch}`,
  );
}

/** The most ranks that can share every stage. */
export function mostRanks(stages: readonly ResolvedStage[], cluster: Nodes): number {
  return possibleRanks(stages, cluster)[0]!;
}

/** Numbers of ranks that divide every stage's sequences and fill their nodes, largest first. */
function possibleRanks(stages: readonly ResolvedStage[], { gpusPerNode }: Nodes): number[] {
  const common = stages.map(({ sequencesPerStep }) => sequencesPerStep).reduce(greatestCommonDivisor);
  const fills = (ranks: number) => ranks <= gpusPerNode || ranks % gpusPerNode === 0;
  return divisors(common).filter(fills);
}

/** Largest first. */
function divisors(value: number): number[] {
  const small: number[] = [];
  for (let each = 1; each * each <= value; each++) if (value % each === 0) small.push(each);
  return [...new Set([...small, ...small.map((each) => value / each)])].sort((a, b) => b - a);
}
