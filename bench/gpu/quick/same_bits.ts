/**
 * The same 20 steps in two stages, each time in processes of their own: twice as they are, once without graphs, once
 * interrupted and resumed. Compares the SHA-256 of weights and moments, for bench/gpu.sh quick:
 *
 *     npx tsx bench/gpu/quick/same_bits.ts cuda
 *
 * Prints a line of JSON after each, with all hashes so far; fails if two differ.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseRunConfig } from "../../../lib/config/config.js";
import { ShardWriter } from "../../../lib/data/shard.js";
import { Trainer } from "../../../lib/train/trainer.js";

const steps = 20;
/** In the first stage, so that the resumed process goes through the change of stages. */
const interruptedAfter = 7;

/** On a GPU every kernel of a bf16 step, with grouped queries; on simt the least that trains. */
const scales = {
  cuda: { hidden: 512, intermediate: 1376, layers: 4, heads: 8, vocabulary: 4096, positions: 512 },
  simt: { hidden: 64, intermediate: 96, layers: 1, heads: 2, vocabulary: 96, positions: 8 },
};

// A second and a third argument are for the processes that train: the run folder, and the last step.
const [backend, folder, last] = process.argv.slice(2);
const scale = scales[backend as keyof typeof scales];
if (folder === undefined) await compare();
else await train(folder, Number(last));

/** Trains up to a step, from the beginning or from the folder's checkpoint. */
async function train(out: string, until: number): Promise<void> {
  const { hidden, intermediate, layers, heads, vocabulary, positions } = scale;
  const model = {
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: heads / 2,
    vocab_size: vocabulary,
    max_position_embeddings: positions,
  };
  const config = {
    name: "same-bits",
    model,
    data: { train: join(out, "..", "train.bin") },
    stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }],
    batch: { tokensPerStep: 8 * positions, sequenceLength: positions, microBatch: 1 },
    train: { steps },
    device: backend,
    precision: "bf16",
    out,
  };
  const trainer = await Trainer.open(parseRunConfig(config, "same-bits"), { resume: existsSync(out) });
  for await (const { step } of trainer.run()) if (step === until) break;
  await trainer.close();
}

async function compare(): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "nextpatch-same-bits-"));
  const run = (name: string, until: number, env: NodeJS.ProcessEnv = {}) => {
    const args = ["--import", "tsx", fileURLToPath(import.meta.url), backend!, join(scratch, name), String(until)];
    execFileSync(process.execPath, args, { env: { ...process.env, ...env }, stdio: ["ignore", "inherit", "inherit"] });
  };
  const hash = (name: string) => {
    const trainer = join(scratch, name, `checkpoints/step-${String(steps).padStart(8, "0")}/trainer`);
    const state = readdirSync(trainer).filter((file) => file.endsWith(".safetensors"));
    const sha = createHash("sha256");
    for (const file of [
      join(scratch, name, "model/model.safetensors"),
      ...state.sort().map((file) => join(trainer, file)),
    ]) {
      sha.update(readFileSync(file));
    }
    return sha.digest("hex");
  };
  const hashes: Record<string, string> = {};
  const equal = () => new Set(Object.values(hashes)).size === 1;
  const compared = (name: string) => {
    hashes[name] = hash(name);
    process.stdout.write(`${JSON.stringify({ steps, interruptedAfter, equal: equal(), hashes })}\n`);
  };
  try {
    const writer = await ShardWriter.create(join(scratch, "train.bin"), 2);
    await writer.write(Array.from({ length: 64 * scale.positions }, (_, i) => (i * i + (i >> 3)) % scale.vocabulary));
    await writer.finish();
    run("once", steps);
    compared("once");
    run("again", steps);
    compared("again");
    run("graphsOff", steps, { NEXTPATCH_GRAPHS: "0" });
    compared("graphsOff");
    run("resumed", interruptedAfter);
    run("resumed", steps);
    compared("resumed");
    if (!equal()) process.exitCode = 1;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
