/** Checks of the sizes of steps, sequences and passes in a run config. */

import type { ConfigValues } from "./config_types.js";
import { leastCommonMultiple } from "./divisors.js";
import { batchOf, ownsStepSize, tokensPerStep } from "./step_size.js";

type Report = (problem: string) => void;

/** Reports steps that are not whole sequences, and passes that do not divide them. */
export function checkBatches(config: ConfigValues, report: Report): void {
  const sections = [
    { at: "batch", batch: config.batch, needed: true },
    ...config.stages.map(({ batch = {} }, index) => ({ at: `stages[${index}].batch`, batch, needed: false })),
  ];
  const wrong = sections.flatMap(({ at, batch, needed }) => {
    const given = (["tokensPerStep", "positionsPerStep"] as const).filter((key) => batch[key] !== undefined);
    if (given.length === 1 || (given.length === 0 && !needed)) return [];
    const got = given.length === 0 ? "nothing" : "both";
    return [`${at}: expected exactly one of tokensPerStep or positionsPerStep but received ${got}`];
  });
  const problems = new Set(wrong); // stages that share a step may share a problem
  if (wrong.length === 0) config.stages.forEach((_, index) => checkBatch(config, index, (text) => problems.add(text)));
  problems.forEach(report);
}

function checkBatch(config: ConfigValues, index: number, report: Report): void {
  const stage = config.stages[index]!;
  const { patchSize } = stage;
  const batch = batchOf(config.batch, stage);
  const { sequenceLength, microBatch } = batch;
  const own = (owns: boolean | undefined) => (owns ? `stages[${index}].batch` : "batch");

  const tokensPerSequence = patchSize * sequenceLength;
  const product = `patchSize ${patchSize} * sequenceLength ${sequenceLength} = ${tokensPerSequence}`;
  const unit = config.data.shuffleTokens;
  if (unit !== undefined && unit % tokensPerSequence !== 0) {
    report(`data.shuffleTokens: expected a multiple of ${product} for stages[${index}] but received ${unit}`);
  }
  const sequences = tokensPerStep(batch, patchSize) / tokensPerSequence;
  if (!Number.isInteger(sequences)) {
    const inTokens = batch.tokensPerStep !== undefined;
    const size = inTokens ? batch.tokensPerStep! : batch.positionsPerStep!;
    const key = `${own(stage.batch && ownsStepSize(stage.batch))}.${inTokens ? "tokensPerStep" : "positionsPerStep"}`;
    const multiple = inTokens ? `${product} for stages[${index}]` : `sequenceLength ${sequenceLength}`;
    const nearest = nearestMultiple(size, workableMultiple(config, index));
    report(`${key}: expected a multiple of ${multiple} but received ${size}; nearest that works: ${nearest}`);
    return;
  }
  const longest = Math.max(...config.stages.map((each) => each.patchSize * sequenceLengthOf(config, each)));
  if (unit === undefined && longest % tokensPerSequence !== 0) {
    const expected = `expected patchSize * sequenceLength to divide that of the longest stage, ${longest},`;
    report(`stages[${index}]: ${expected} but received ${tokensPerSequence}`);
  }
  if (microBatch !== "auto" && sequences % microBatch !== 0) {
    const expected = `expected a divisor of the ${sequences} sequences per step of stages[${index}]`;
    report(`${own(stage.batch?.microBatch !== undefined)}.microBatch: ${expected} but received ${microBatch}`);
  }
}

/** What the size of a stage's step must be a multiple of, for this stage and all others that share it. */
function workableMultiple(config: ConfigValues, index: number): number {
  const owns = ({ batch }: ConfigValues["stages"][number]) => batch !== undefined && ownsStepSize(batch);
  const stage = config.stages[index]!;
  const sharing = owns(stage) ? [stage] : config.stages.filter((each) => !owns(each));
  const inTokens = batchOf(config.batch, stage).tokensPerStep !== undefined;
  return sharing
    .map((each) => (inTokens ? each.patchSize : 1) * sequenceLengthOf(config, each))
    .reduce(leastCommonMultiple, 1);
}

function sequenceLengthOf({ batch }: ConfigValues, stage: ConfigValues["stages"][number]): number {
  return stage.batch?.sequenceLength ?? batch.sequenceLength;
}

function nearestMultiple(value: number, step: number): number {
  return Math.max(1, Math.round(value / step)) * step;
}
