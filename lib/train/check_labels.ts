/** Whether a run's loss mask leaves labels to train on. */
import type { RunConfig } from "../config/config.js";
import type { ResolvedStage } from "../config/stages.js";
import type { TokenDataset } from "../data/dataset.js";
import { DataError } from "../errors.js";
import type { RunData } from "./run_data.js";
import { shuffledTokens } from "./run_plan.js";

/** Tokens whose mask is read at once. */
const READ = 2 ** 16;

/**
 * Checks that every stage has a label that counts in each dataset with a loss mask. A token that counts need not be one: the
 * first patch of a sequence is not predicted. Reads each mask up to its first label.
 * @throws DataError naming the data and the stage
 */
export async function checkLabels(
  { train }: Pick<RunData, "train">,
  config: RunConfig,
  stages: readonly ResolvedStage[],
): Promise<void> {
  const datasets = "length" in train ? train.map(({ dataset }) => dataset) : [train];
  const unit = shuffledTokens(config, stages);
  for (const dataset of datasets.filter(({ masked }) => masked)) {
    for (const { index, patchSize, sequenceLength } of stages) {
      if (await hasLabel(dataset, unit, patchSize, patchSize * sequenceLength)) continue;
      const first = patchSize === 1 ? "first token is" : `first ${patchSize} tokens are`;
      throw new DataError(
        `${dataset.shards[0]!.path}: expected a label that counts in stages[${index}], in which a sequence is ` +
          `${patchSize * sequenceLength} tokens whose ${first} not predicted, but received a loss mask that leaves out all of them`,
      );
    }
  }
}

/** Sequences lie one after another in the units that are shuffled; the rest behind the last whole unit is not read. */
async function hasLabel(dataset: TokenDataset, unit: number, patchSize: number, sequence: number): Promise<boolean> {
  const end = dataset.tokenCount - (dataset.tokenCount % unit);
  if (end === 0) return true; // who reads it says that it is too short
  const read = new Uint8Array(Math.min(READ, end));
  for (let at = 0; at < end; at += read.length) {
    const part = read.subarray(0, Math.min(read.length, end - at));
    await dataset.readMask(at, part);
    if (part.some((counts, i) => counts === 1 && (at + i) % sequence >= patchSize)) return true;
  }
  return false;
}
