/**
 * `npm run bench -- trials FILE.yaml…`: the trials of a cell (a model, a text, a length): every arm from every seed, each
 * an ordinary training run, and its loss over all held-out tokens.
 *
 *     npm run bench -- trials bench/trials/CELL.yaml [--arms a,b] [--seeds 1,2] [--worker 0/2]
 *
 * Each finished run is a line of `bench/results/trials/CELL.jsonl`; a run that has its line is not made again, and one
 * that was stopped goes on from its checkpoint. Several workers share the runs out: worker I of N takes every N-th.
 */
import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { entriesOf } from "../lib/config/data_entries.js";
import { type DeviceSpec, evaluate, Llama } from "../lib/index.js";
import { readMetrics } from "../lib/report/metrics.js";
import { Trainer } from "../lib/train/trainer.js";
import { type Cell, readCell, trialConfig } from "./trials/cell.js";

interface TrialRecord {
  readonly arm: string;
  readonly seed: number;
  /** Nats a token, over all held-out tokens. */
  readonly valLoss: number;
  readonly steps: number;
  readonly tokens: number;
  readonly flops: number;
  readonly parameters: number;
  /** Of the training steps alone; other work may have run beside them. */
  readonly seconds: number;
  /** Held-out loss of the run's own sample of sequences: [step, nats]. */
  readonly curve: readonly (readonly [number, number])[];
  readonly commit: string;
}

const { values: flags, positionals } = parseArgs({
  options: { arms: { type: "string" }, seeds: { type: "string" }, worker: { type: "string", default: "0/1" } },
  allowPositionals: true,
});
const [worker, workers] = flags.worker.split("/").map(Number) as [number, number];
const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();

async function runTrial(cell: Cell, arm: string, seed: number): Promise<TrialRecord> {
  const config = trialConfig(cell, arm, seed);
  const trainer = await Trainer.open(config, { resume: "auto" });
  const { parameterCount: parameters } = trainer.model;
  try {
    for await (const _ of trainer.run());
  } finally {
    await trainer.close();
  }
  const metrics = await readMetrics(join(config.out, "metrics.jsonl"));
  using model = await Llama.load(join(config.out, "model"), {
    device: config.device as DeviceSpec,
    precision: config.precision,
  });
  const data = entriesOf(config.data.val!).map(({ path }) => path);
  const { loss } = await evaluate(model, { data, patchSize: 1, sequenceLength: config.batch.sequenceLength });
  const { seconds, tokens, flops } = trainer.progress;
  rmSync(config.out, { recursive: true });
  return {
    arm,
    seed,
    valLoss: loss,
    steps: metrics.length,
    tokens,
    flops,
    parameters,
    seconds: Math.round(seconds),
    curve: metrics.flatMap(({ step, valLoss }) => (valLoss === undefined ? [] : [[step, valLoss] as const])),
    commit,
  };
}

for (const file of positionals.filter((each) => each.endsWith(".yaml"))) {
  const cell = readCell(file);
  const results = join("bench/results/trials", `${basename(file, ".yaml")}.jsonl`);
  mkdirSync("bench/results/trials", { recursive: true });
  const done = (arm: string, seed: number): boolean => {
    if (!existsSync(results)) return false;
    const lines = readFileSync(results, "utf8").split("\n").filter(Boolean);
    return lines.map((line) => JSON.parse(line) as TrialRecord).some((each) => each.arm === arm && each.seed === seed);
  };
  const seeds = flags.seeds?.split(",").map(Number) ?? cell.seeds;
  const arms = flags.arms?.split(",") ?? Object.keys(cell.arms);
  const runs = seeds.flatMap((seed) => arms.map((arm) => ({ arm, seed })));
  for (const [index, { arm, seed }] of runs.entries()) {
    if (index % workers !== worker || done(arm, seed)) continue;
    const record = await runTrial(cell, arm, seed);
    appendFileSync(results, `${JSON.stringify(record)}\n`);
    console.log(`${basename(file)}: ${arm}, seed ${seed}: ${record.valLoss.toFixed(4)} in ${record.seconds} s`);
  }
}
