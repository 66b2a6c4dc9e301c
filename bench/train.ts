/**
 * Whole training steps, ours and PyTorch's (Hugging Face Llama), in turn on one machine:
 *
 *     npm run bench -- --python .venv-peers/bin/python [--rounds 3] [--threads 2] [--out bench/results/NAME.json]
 *
 * Every round times both once, so that a machine whose speed drifts moves both; what counts is the median of the
 * rounds' ratios. The peer runs the best of fp32, bf16 autocast, and that compiled.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values: flags } = parseArgs({
  options: {
    python: { type: "string" },
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "3" },
    threads: { type: "string", default: String(availableParallelism()) },
    out: { type: "string" },
  },
});
if (flags.python === undefined) {
  throw new Error("--python: expected the Python of a venv with bench/peers/requirements.txt installed");
}

const model = {
  hidden_size: 256, intermediate_size: 688, num_hidden_layers: 6, num_attention_heads: 4, vocab_size: 8192,
};
const sequenceLength = 256;
const tokensPerStep = 16384;

interface Timing {
  readonly secondsPerStep: number;
  readonly tokensPerSecond: number;
}

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const environment = { ...process.env, OMP_NUM_THREADS: flags.threads };

function lastJson(command: string, args: readonly string[]): Timing & Record<string, unknown> {
  const stdio: ["ignore", "pipe", "ignore"] = ["ignore", "pipe", "ignore"];
  const text = execFileSync(command, args, { encoding: "utf8", env: environment, stdio });
  return JSON.parse(text.trim().split("\n").at(-1)!) as Timing & Record<string, unknown>;
}

function ours(patchSize: number): Timing {
  return lastJson(process.execPath, [
    file("../dist/cli/main.js"), "bench", "train", "--json", "--model", JSON.stringify(model),
    "--patch-size", String(patchSize), "--sequence-length", String(sequenceLength),
    "--tokens-per-step", String(tokensPerStep), "--steps", flags.steps, "--device", "cpu",
  ]);
}

/** The peer's variants; each finds its own best micro-batch and form of the loss once, before the rounds. */
const variants = [
  ["--precision", "fp32"],
  ["--precision", "bf16"],
  ["--precision", "bf16", "--compile"],
] as const;

function peer(patchSize: number, extra: readonly string[]): Timing & Record<string, unknown> {
  return lastJson(flags.python!, [
    file("peers/torch_train.py"), "--hidden", "256", "--intermediate", "688", "--layers", "6", "--heads", "4",
    "--vocab", "8192", "--patch-size", String(patchSize), "--sequence-length", String(sequenceLength),
    "--tokens-per-step", String(tokensPerStep), "--threads", flags.threads, "--steps", flags.steps, ...extra,
  ]);
}

/** The fastest variant, with its micro-batch and loss pinned so that the rounds need not search again. */
function bestPeer(patchSize: number): { args: string[]; timing: Timing } {
  const found: { args: string[]; timing: Timing }[] = [];
  for (const variant of variants) {
    const compiled = (variant as readonly string[]).includes("--compile");
    // Compiling every choice takes minutes on a processor: the compiled variant takes what was best without.
    const pinned = compiled ? found.at(-1)!.args.slice(2) : [];
    const timing = peer(patchSize, [...variant, ...pinned]);
    const choice = ["--micro-batch", String(timing.microBatch), "--loss", String(timing.lossImplementation)];
    found.push({ args: [...variant.slice(0, 2), ...choice, ...variant.slice(2)], timing });
    log(`  PyTorch ${variant.join(" ")}: ${Math.round(timing.tokensPerSecond)} tokens/s (${choice.join(" ")})`);
  }
  return found.reduce((best, next) => (next.timing.tokensPerSecond > best.timing.tokensPerSecond ? next : best));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

function log(message: string): void {
  process.stderr.write(`${message}\n`);
}

const rows = [1, 4].map((patchSize) => {
  log(`K = ${patchSize}: the peer's best variant`);
  const { args } = bestPeer(patchSize);
  const rounds = Array.from({ length: Number(flags.rounds) }, (_, round) => {
    const a = ours(patchSize).tokensPerSecond;
    const b = peer(patchSize, args).tokensPerSecond;
    log(`  round ${round + 1}: nextpatch ${Math.round(a)}, PyTorch ${Math.round(b)} tokens/s, ratio ${(a / b).toFixed(2)}`);
    return { nextpatch: a, pytorch: b, ratio: a / b };
  });
  const of = (key: keyof (typeof rounds)[number]) => median(rounds.map((round) => round[key]));
  return {
    patchSize, peer: args.join(" "), nextpatchTokensPerSecond: of("nextpatch"), pytorchTokensPerSecond: of("pytorch"),
    ratio: of("ratio"), rounds,
  };
});

const result = {
  what: "training step: forward, backward, clipping, AdamW",
  machine: { processor: cpus()[0]!.model, threads: Number(flags.threads), node: process.version },
  model, sequenceLength, tokensPerStep, rows,
};
if (flags.out !== undefined) writeFileSync(flags.out, `${JSON.stringify(result, null, 2)}\n`);
process.stdout.write("| K | nextpatch tokens/s | PyTorch tokens/s | ratio | the peer's best variant |\n|---|---|---|---|---|\n");
for (const { patchSize, peer: args, nextpatchTokensPerSecond: a, pytorchTokensPerSecond: b, ratio } of rows) {
  process.stdout.write(`| ${patchSize} | ${Math.round(a)} | ${Math.round(b)} | ${ratio.toFixed(2)} | ${args} |\n`);
}
