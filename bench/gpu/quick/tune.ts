/**
 * `nextpatch tune` for llama-370m at K = 1 and K = 4, for bench/gpu.sh quick:
 *
 *     npx tsx bench/gpu/quick/tune.ts cuda '{"preset":"llama-370m"}' 2048 131072 16 FOLDER
 *
 * with the config's model, T, the step's tokens, the sequences of a pass, and where to write the table,
 * `products.json`. Prints the command's JSON. simt needs NEXTPATCH_SIMT_ALGORITHMS=several.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ShardWriter } from "../../../lib/data/shard.js";
import { nextpatch } from "./commands.js";

const [backend, model, positions, tokens, sequences, folder] = process.argv.slice(2);
const tokensPerStep = Number(tokens);
const file = (name: string) => join(folder!, name);

// The tokens do not matter, but a config must name some: one for each stage's step.
const writer = await ShardWriter.create(file("tune.bin"), 2);
await writer.write(new Array<number>(2 * tokensPerStep).fill(0));
await writer.finish();

const config = {
  name: "tune",
  model: JSON.parse(model!) as object,
  data: { train: file("tune.bin") },
  stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }],
  batch: { tokensPerStep, sequenceLength: Number(positions), microBatch: Number(sequences) },
  train: { steps: 2 },
  device: backend,
  precision: "bf16",
};
writeFileSync(file("tune_config.json"), JSON.stringify(config));
const { program, args } = nextpatch("tune", file("tune_config.json"), "--out", file("products.json"));
execFileSync(program, args, { stdio: ["ignore", "inherit", "inherit"] });
