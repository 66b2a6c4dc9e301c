import { native } from "../native.js";
import { type Allocated, allocate, disposeAll, Spec } from "./buffers.js";
import { ForwardPass, forwardSpecs } from "./forward_pass.js";
import type { KeyValueCache } from "./key_value_cache.js";
import type { Llama } from "./llama.js";
import { chunkRows } from "./loss_head.js";
import { cut, jointRows, keysAndValuesSpecs, PrefixCache, SuffixCache } from "./shared_prefix.js";
import type { Transformer } from "./transformer.js";

/** A token whose log-likelihood is wanted. */
export interface Target {
  /** The position whose distribution predicts it, counted from the start of its sequence's own tokens. */
  readonly position: number;
  readonly token: number;
}

/** Tokens that a pass runs, behind those of a prefix if there is one. */
export interface ScoredSequence {
  readonly tokens: Int32Array;
  readonly targets: readonly Target[];
  /** Its prefix among those of the last `keepPrefixes`; null: it begins at position 0. */
  readonly prefix: number | null;
}

/** What passes need room for. */
export interface ScorerLimits {
  /** Positions of a pass: its sequences times the longest of them. */
  readonly positions: number;
  /** Tokens of a sequence, its prefix included. */
  readonly length: number;
  /** Targets of a pass. */
  readonly targets: number;
  /** Positions of all prefixes kept at once. */
  readonly prefixes: number;
  /** Positions of the sequences of a pass behind a prefix, their prefixes included. */
  readonly joined: number;
}

/** The scores of a pass's targets, in the order of the sequences and of their targets. */
export interface Scores {
  readonly logLikelihoods: Float32Array;
  /** Whether each target is the likeliest token. */
  readonly greedy: readonly boolean[];
}

function scorerSpecs(model: Llama, limits: ScorerLimits) {
  const { config, parameters, device } = model;
  const shape = { config, dtype: parameters.dtype, positions: limits.positions, recompute: null };
  const rows = chunkRows({ ...shape, positions: limits.targets }, device.backend);
  return {
    pass: forwardSpecs(parameters, { positions: limits.positions, length: limits.length, patchSize: 1 }, null),
    kept: Array.from({ length: config.num_hidden_layers }, () => keysAndValuesSpecs(shape, limits.prefixes)),
    staged: keysAndValuesSpecs(shape, limits.prefixes + limits.positions),
    joined: keysAndValuesSpecs(shape, limits.joined),
    joinedRows: new Spec("i32", [limits.joined]),
    rows: new Spec("i32", [limits.targets]),
    hidden: new Spec(shape.dtype, [limits.targets, config.hidden_size]),
    logits: new Spec(shape.dtype, [rows, config.vocab_size]),
    labels: new Spec("i32", [limits.targets, 1]),
    coefficients: new Spec("f32", [1]),
    losses: new Spec("f32", [limits.targets]),
    likeliest: new Spec("i32", [limits.targets]),
    workspace: new Spec("f32", [native.sampleWorkspace(device, rows, config.vocab_size)]),
  };
}

/**
 * Log-likelihoods of chosen tokens: the head runs for their positions alone, and tokens that sequences begin with
 * together run once. Sequences of a pass are padded behind, where a causal model does not look.
 */
export class TokenScorer {
  readonly #buffers: Allocated<ReturnType<typeof scorerSpecs>>;
  readonly #pass: ForwardPass;
  /** The shape of the prefixes that are kept. */
  #kept = { prefixes: 0, positions: 0 };

  /** Allocates the memory of all passes. @throws OutOfMemoryError */
  constructor(model: Llama, limits: ScorerLimits) {
    this.#buffers = allocate(model.device, scorerSpecs(model, limits));
    this.#pass = new ForwardPass(model.parameters, this.#buffers.pass, null);
    this.#buffers.coefficients.write(Float32Array.of(1));
  }

  /** Runs prefixes, all of the same length, and keeps their keys and values. */
  keepPrefixes(prefixes: readonly Int32Array[]): void {
    const positions = prefixes[0]!.length;
    this.#kept = { prefixes: prefixes.length, positions };
    const caches = this.#buffers.kept.map((layer) => new PrefixCache(cut(layer, prefixes.length, positions)));
    this.#run(prefixes, positions, caches, 0);
  }

  /** Scores the targets of sequences; all have a prefix, or none has. */
  async score(sequences: readonly ScoredSequence[]): Promise<Scores> {
    const length = Math.max(...sequences.map(({ tokens }) => tokens.length));
    const past = sequences[0]!.prefix === null ? 0 : this.#kept.positions;
    const caches = past === 0 ? null : this.#suffixCaches(sequences, length);
    const tokens = sequences.map((sequence) => sequence.tokens);
    const transformer = this.#run(tokens, length, caches, past);
    const targets = sequences.flatMap((sequence, index) =>
      sequence.targets.map(({ position, token }) => ({ row: index * length + position, token })),
    );
    const { rows, hidden, labels, losses, likeliest } = this.#buffers;
    const count = targets.length;
    const own = {
      rows: rows.narrow(0, 0, count),
      hidden: hidden.narrow(0, 0, count),
      labels: labels.narrow(0, 0, count),
      losses: losses.narrow(0, 0, count),
      likeliest: likeliest.narrow(0, 0, count),
    };
    own.rows.write(Int32Array.from(targets, ({ row }) => row));
    own.labels.write(Int32Array.from(targets, ({ token }) => token));
    // An embedding of one token a patch: it gathers rows of a table.
    native.patchEmbeddingForward(own.hidden, own.rows, transformer.out, 1);
    this.#head(own);
    const [read, best] = await Promise.all([own.losses.read(), own.likeliest.read()]);
    return {
      logLikelihoods: read.map((loss) => -loss),
      greedy: targets.map(({ token }, index) => best[index] === token),
    };
  }

  /** Frees the memory; the model stays. */
  dispose(): void {
    disposeAll(this.#buffers);
  }

  /** `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #suffixCaches(sequences: readonly ScoredSequence[], length: number): SuffixCache[] {
    const { kept, staged, joined, joinedRows } = this.#buffers;
    const { prefixes, positions: past } = this.#kept;
    const rows = joinedRows.narrow(0, 0, sequences.length * (past + length));
    const prefixOf = sequences.map(({ prefix }) => prefix!);
    rows.write(jointRows(prefixOf, prefixes, past, length));
    const joint = { staged, joined: cut(joined, sequences.length, past + length), rows };
    return kept.map((layer) => new SuffixCache(cut(layer, prefixes, past), joint));
  }

  /** Runs the transformer over sequences, each padded to `length`. */
  #run(
    sequences: readonly Int32Array[],
    length: number,
    caches: readonly KeyValueCache[] | null,
    past: number,
  ): Transformer {
    const padded = new Int32Array(sequences.length * length);
    for (const [index, sequence] of sequences.entries()) padded.set(sequence, index * length);
    const batch = { sequences: sequences.length, positions: length, patchSize: 1 };
    return this.#pass.run(padded, batch, caches && { past, caches });
  }

  #head({ hidden, labels, losses, likeliest }: HeadTensors): void {
    const { logits: all, coefficients, workspace } = this.#buffers;
    const count = hidden.shape[0]!;
    const chunk = all.shape[0]!;
    for (let start = 0; start < count; start += chunk) {
      const length = Math.min(chunk, count - start);
      const logits = all.narrow(0, 0, length);
      this.#pass.weights.head.forward(logits, hidden.narrow(0, start, length));
      native.sample(likeliest.narrow(0, start, length), logits, null, null, workspace, 1, 0, 0, 1, 0, 0, 0);
      native.crossEntropy(
        losses.narrow(0, start, length),
        logits,
        labels.narrow(0, start, length),
        coefficients,
        false,
      );
    }
  }
}

type HeadTensors = Pick<Allocated<ReturnType<typeof scorerSpecs>>, "hidden" | "labels" | "losses" | "likeliest">;
