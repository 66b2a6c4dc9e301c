/**
 * `npm run bench -- loader`: what a batch costs, read from 100 GB of sparse shards: one corpus, and a mix of three.
 *
 *     npm run bench -- loader [--gigabytes 100] [--seconds 10] [--folder DIR] [--out bench/results/NAME.json]
 *
 * The shards take no room on the disk: they are holes, so that what is measured is the loader (permutation, system calls,
 * widening, the vocabulary's check), and not the disk. A batch is 16384 positions of K = 8 and T = 256, 131072 tokens. It
 * is read while a step computes; what a step waits for is `wait`, with a step as long as an H200's of the paper's 370m
 * model (bench/results/quick-nvidia-h200.json gives tokens per second).
 */
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { TokenDataset } from "../lib/data/dataset.js";
import { BlockLoader, type BlockLoaderOptions } from "../lib/data/loader.js";
import { readCommit } from "../lib/train/environment.js";

const { values: flags } = parseArgs({
  options: {
    gigabytes: { type: "string", default: "100" },
    seconds: { type: "string", default: "10" },
    folder: { type: "string", default: tmpdir() },
    out: { type: "string" },
  },
  allowPositionals: true,
});

const TOKENS_PER_SHARD = 100_000_000;
const [K, T, SEQUENCES] = [8, 256, 64];
/** Milliseconds: 131072 tokens at 8 times the 200,885 tokens a second that an H200 was measured at for K = 1. */
const STEP = (1000 * K * T * SEQUENCES) / (8 * 200_885);

function writeHoles(path: string): void {
  const file = openSync(path, "w");
  const header = Buffer.alloc(12);
  for (const [at, word] of [20240520, 1, TOKENS_PER_SHARD].entries()) header.writeInt32LE(word, 4 * at);
  writeSync(file, header);
  ftruncateSync(file, 1024 + 2 * TOKENS_PER_SHARD);
  closeSync(file);
}

interface Measured {
  readonly tokens: number;
  readonly shards: number;
  readonly batches: number;
  /** Milliseconds of a batch, one after another. */
  readonly batch: number;
  /** Milliseconds that a step waits for its batch, if the step itself takes `step`. */
  readonly wait: number;
  readonly step: number;
  /** `wait` over the whole time of a step. */
  readonly share: number;
}

async function measure(dataset: BlockLoaderOptions["dataset"], seconds: number): Promise<Measured> {
  const options = { dataset, blockTokens: K * T, unitTokens: K * T, vocabSize: 50_257, seed: 1 };
  await using loader = new BlockLoader(options);
  await loader.next(SEQUENCES);
  let batches = 0;
  const start = performance.now();
  while (performance.now() - start < 1000 * seconds) {
    await loader.next(SEQUENCES);
    batches++;
  }
  const batch = (performance.now() - start) / batches;
  let wait = 0;
  const steps = Math.ceil((1000 * seconds) / STEP);
  for (let step = 0; step < steps; step++) {
    await setTimeout(STEP);
    const before = performance.now();
    await loader.next(SEQUENCES);
    wait += performance.now() - before;
  }
  wait /= steps;
  const datasets = dataset instanceof TokenDataset ? [dataset] : dataset.map((entry) => entry.dataset);
  return {
    tokens: datasets.reduce((sum, { tokenCount }) => sum + tokenCount, 0),
    shards: datasets.reduce((sum, { shards }) => sum + shards.length, 0),
    batches,
    batch,
    wait,
    step: STEP,
    share: wait / (STEP + wait),
  };
}

const folder = mkdtempSync(join(flags.folder, "nextpatch-loader-"));
try {
  const count = Math.round((Number(flags.gigabytes) * 1e9) / (2 * TOKENS_PER_SHARD));
  const names = ["a", "b", "c"];
  for (let i = 0; i < count; i++) {
    const name = names[i < 0.7 * count ? 0 : i < 0.95 * count ? 1 : 2]!;
    writeHoles(join(folder, `${name}_${String(i).padStart(6, "0")}.bin`));
  }
  const opened = performance.now();
  await using whole = await TokenDataset.open(join(folder, "*.bin"));
  const open = performance.now() - opened;
  const parts: TokenDataset[] = [];
  for (const name of names) parts.push(await TokenDataset.open(join(folder, `${name}_*.bin`)));
  const mix = parts.map((dataset, index) => ({ dataset, weight: [0.6, 0.3, 0.1][index]! }));
  const seconds = Number(flags.seconds);
  const measured = { "one corpus": await measure(whole, seconds), "a mix of three": await measure(mix, seconds) };
  for (const dataset of parts) await dataset.close();
  for (const [name, { shards, batch, wait, step, share }] of Object.entries(measured)) {
    process.stdout.write(
      `${name}, ${shards} shards: ${batch.toFixed(2)} ms a batch; ${wait.toFixed(3)} ms of waiting in a step of ` +
        `${step.toFixed(1)} ms, ${(100 * share).toFixed(2)} per cent\n`,
    );
  }
  const result = {
    date: new Date().toISOString(),
    commit: await readCommit(),
    machine: { processor: cpus()[0]!.model.trim(), threads: cpus().length },
    node: process.version,
    patchSize: K,
    sequenceLength: T,
    sequences: SEQUENCES,
    bytes: count * statSync(join(folder, "a_000000.bin")).size,
    openMilliseconds: open,
    measured,
  };
  if (flags.out !== undefined) writeFileSync(flags.out, `${JSON.stringify(result, null, 1)}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
