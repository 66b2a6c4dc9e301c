/**
 * What checkpoints cost, at the quickstart's size: steps with one every fifth, and steps with none, in turn.
 *
 *     npx tsx bench/checkpoint_cost.ts [config.yaml] [rounds]
 *
 * Prints, for a checkpoint at every 50th step, what the run takes longer, in time and in the processors' time; each round
 * and the median. The data is made up.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadRunConfig, type RunConfig } from "../lib/config/config.js";
import { ShardWriter } from "../lib/data/shard.js";
import { Trainer } from "../lib/train/trainer.js";

const EVERY = 5;
const STEPS = 60;

const [path = "examples/sotu-tiny.yaml", rounds = "3"] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "nextpatch-cost-"));

async function configOf(everySteps: number): Promise<RunConfig> {
  const data = join(folder, "train.bin");
  return loadRunConfig(path, {
    set: [
      `data={train: ${data}, val: ${data}}`,
      "eval={everySteps: 1000000, sequences: 1}",
      `out=${join(folder, "run")}`,
      `train={steps: ${STEPS + 1}}`,
      "stages=[{patchSize: 4}]",
      `checkpoint={everySteps: ${everySteps}, keep: 2}`,
    ],
  });
}

interface Spent {
  readonly wall: number;
  readonly cpu: number;
}

/** Seconds of the steps after the first, and of the last checkpoint's end. */
async function spent(everySteps: number): Promise<Spent> {
  rmSync(join(folder, "run"), { recursive: true, force: true });
  const trainer = await Trainer.open(await configOf(everySteps));
  let began = performance.now();
  let before = process.cpuUsage();
  let steps = 0;
  const run = trainer.run();
  for await (const { step } of run) {
    if (step === 1) [began, before] = [performance.now(), process.cpuUsage()];
    steps++;
    if (steps === STEPS) break; // before the last: the model and the report are not counted
  }
  const { user, system } = process.cpuUsage(before);
  const seconds = { wall: (performance.now() - began) / 1000, cpu: (user + system) / 1e6 };
  await trainer.close();
  return seconds;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

try {
  const writer = await ShardWriter.create(join(folder, "train.bin"), 2);
  await writer.write(Array.from({ length: 2 ** 21 }, (_, index) => (index * 7919) % 4096));
  await writer.finish();
  await spent(STEPS * 2);
  const found: Spent[] = [];
  for (let round = 0; round < Number(rounds); round++) {
    const [without, with5] = [await spent(STEPS * 2), await spent(EVERY)];
    // Both save once more where the loop is left.
    const cost = (key: keyof Spent) => ((with5[key] - without[key]) / without[key]) * (EVERY / 50);
    found.push({ wall: cost("wall"), cpu: cost("cpu") });
    const [step, cpu] = [without.wall / (STEPS - 1), without.cpu / (STEPS - 1)];
    const seconds = `${(1000 * step).toFixed(1)} ms a step (${(1000 * cpu).toFixed(1)} ms of processors)`;
    process.stdout.write(`${seconds}: ${percent(cost("wall"))} longer, ${percent(cost("cpu"))} of processors\n`);
  }
  const [wall, cpu] = (["wall", "cpu"] as const).map((key) => median(found.map((each) => each[key])));
  process.stdout.write(`median, at every 50th step: ${percent(wall!)} longer, ${percent(cpu!)} of processors\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
