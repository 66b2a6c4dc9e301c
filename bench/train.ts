/**
 * Whole training steps on the CPU, ours and PyTorch's (Hugging Face Llama).
 *
 * Every round times ours and each of the peer's variants once, so that drift in the machine's speed affects all of
 * them. Results are medians over the rounds; a ratio's result is the median of the rounds' ratios.
 */
import { median } from "../lib/bench/kernels/timing.js";
import type { TrainBenchResult } from "../lib/bench/train_step.js";
import { nextpatch, type Peer, runPeer } from "./peer.js";

const model = {
  hidden_size: 256,
  intermediate_size: 688,
  num_hidden_layers: 6,
  num_attention_heads: 4,
  vocab_size: 8192,
};
const sequenceLength = 256;
const tokensPerStep = 16384;

/** The result of `bench/peers/torch_train.py`, the part that is read; the rest is kept unchanged. */
export interface TorchStep {
  readonly tokensPerSecond: number;
  readonly microBatch: number;
  readonly lossImplementation: string;
}

/** A variant of the peer, with its search before the rounds. */
export interface Variant {
  readonly name: string;
  readonly args: readonly string[];
  readonly search: TorchStep;
}

export interface VariantRow extends Variant {
  /** One result per round. */
  readonly rounds: readonly TorchStep[];
  readonly tokensPerSecond: number;
  /** Our tokens per second over the variant's. */
  readonly ratio: number;
}

export interface TrainRow {
  readonly patchSize: number;
  readonly nextpatch: { readonly rounds: readonly TrainBenchResult[]; readonly tokensPerSecond: number };
  /** The fastest first; empty without a peer. */
  readonly pytorch: readonly VariantRow[];
}

export interface TrainComparison {
  readonly what: string;
  readonly model: Readonly<Record<string, number>>;
  readonly sequenceLength: number;
  readonly tokensPerStep: number;
  readonly rows: readonly TrainRow[];
}

export interface TrainOptions {
  readonly peer: Peer | null;
  readonly threads: number;
  readonly rounds: number;
  readonly steps: number;
  readonly log: (message: string) => void;
}

export function trainComparison(options: TrainOptions): TrainComparison {
  const rows = [1, 4].map((patchSize) => measure(patchSize, options));
  return { what: "training step: forward, backward, clipping, AdamW", model, sequenceLength, tokensPerStep, rows };
}

function measure(patchSize: number, { peer, threads, rounds, steps, log }: TrainOptions): TrainRow {
  const ours = () =>
    nextpatch<TrainBenchResult>(
      [
        "bench",
        "train",
        "--model",
        JSON.stringify(model),
        "--patch-size",
        String(patchSize),
        "--sequence-length",
        String(sequenceLength),
        "--tokens-per-step",
        String(tokensPerStep),
        "--steps",
        String(steps),
      ],
      threads,
    );
  const theirs = (args: readonly string[]) =>
    runPeer<TorchStep>(
      peer!,
      "torch_train.py",
      [
        "--hidden",
        String(model.hidden_size),
        "--intermediate",
        String(model.intermediate_size),
        "--layers",
        String(model.num_hidden_layers),
        "--heads",
        String(model.num_attention_heads),
        "--vocab",
        String(model.vocab_size),
        "--patch-size",
        String(patchSize),
        "--sequence-length",
        String(sequenceLength),
        "--tokens-per-step",
        String(tokensPerStep),
        "--steps",
        String(steps),
        ...args,
      ],
      threads,
    );

  log(`training, K = ${patchSize}`);
  const sequences = tokensPerStep / (patchSize * sequenceLength);
  const variants = peer === null ? [] : searchVariants(theirs, sequences, log);
  const timed = Array.from({ length: rounds }, (_, round) => {
    const found = { ours: ours(), theirs: variants.map(({ args }) => theirs(args)) };
    const speeds = [found.ours, ...found.theirs].map(({ tokensPerSecond }) => Math.round(tokensPerSecond));
    log(
      `  round ${round + 1}, tokens/s: ${["nextpatch", ...variants.map(({ name }) => name)]
        .map((name, i) => `${name} ${speeds[i]}`)
        .join(", ")}`,
    );
    return found;
  });
  return trainRow(
    patchSize,
    timed.map((round) => round.ours),
    variants,
    timed.map((round) => round.theirs),
  );
}

/**
 * The peer's variants, each with the fastest micro-batch and form of the loss. For the compiled one, each choice costs
 * a minute of compilation: it uses the loss that was best without compilation, and tries that micro-batch and the next
 * larger one.
 */
function searchVariants(
  time: (args: readonly string[]) => TorchStep,
  sequences: number,
  log: TrainOptions["log"],
): Variant[] {
  const search = (name: string, args: readonly string[], choices: readonly string[] = []): Variant => {
    const found = time([...args, ...choices]);
    const { microBatch, lossImplementation, tokensPerSecond } = found;
    const chosen = ["--micro-batch", String(microBatch), "--loss", lossImplementation];
    log(`  PyTorch, ${name}: ${Math.round(tokensPerSecond)} tokens/s with ${chosen.join(" ")}`);
    return { name, args: [...args, ...chosen], search: found };
  };
  const eager = search("bf16 autocast", ["--precision", "bf16"]);
  const { microBatch, lossImplementation } = eager.search;
  const sizes = [microBatch, 2 * microBatch].filter((size) => sequences % size === 0);
  return [
    search("fp32", ["--precision", "fp32"]),
    eager,
    search(
      "bf16 autocast, compiled",
      ["--precision", "bf16", "--compile"],
      ["--micro-batch", sizes.join(","), "--loss", lossImplementation],
    ),
  ];
}

/** @param theirs a round's results, one for each variant */
export function trainRow(
  patchSize: number,
  ours: readonly TrainBenchResult[],
  variants: readonly Variant[],
  theirs: readonly (readonly TorchStep[])[],
): TrainRow {
  const pytorch = variants.map((variant, i): VariantRow => {
    const rounds = theirs.map((round) => round[i]!);
    return {
      ...variant,
      rounds,
      tokensPerSecond: median(rounds.map(({ tokensPerSecond }) => tokensPerSecond)),
      ratio: median(rounds.map(({ tokensPerSecond }, round) => ours[round]!.tokensPerSecond / tokensPerSecond)),
    };
  });
  return {
    patchSize,
    nextpatch: { rounds: ours, tokensPerSecond: median(ours.map(({ tokensPerSecond }) => tokensPerSecond)) },
    pytorch: pytorch.sort((a, b) => b.tokensPerSecond - a.tokensPerSecond),
  };
}

/** A table in Markdown, a row for each of the peer's variants, the fastest first. */
export function trainLines({ rows }: TrainComparison): string[] {
  return [
    "| K | nextpatch tokens/s | PyTorch tokens/s | ratio | the peer's variant |",
    "|---|---|---|---|---|",
    ...rows.flatMap(({ patchSize, nextpatch: ours, pytorch }) => {
      const start = `| ${patchSize} | ${Math.round(ours.tokensPerSecond)}`;
      if (pytorch.length === 0) return [`${start} | – | – | – |`];
      return pytorch.map(
        ({ name, tokensPerSecond, ratio, search: { microBatch, lossImplementation } }) =>
          `${start} | ${Math.round(tokensPerSecond)} | ${ratio.toFixed(2)} |` +
          ` ${name}, micro-batch ${microBatch}, ${lossImplementation} |`,
      );
    }),
  ];
}
