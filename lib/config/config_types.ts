/** The keys of a run config. Written by `npm run docs` from lib/config/schema.ts. */
import type { DeviceSpec } from "../device_names.js";
import type { ModelInput } from "./model_input.js";

/** Where the initial weights come from: a seed or a checkpoint. */
export interface InitInput {
  /** Seed of a random initialisation. Default: the run's seed. Integer ≥ 0. */
  readonly seed?: number | undefined;
  /**
   * A Hugging Face model folder to continue from, relative to the working directory; or org/name of a model in Hugging
   * Face's cache on this machine (`hf download org/name` puts it there).
   */
  readonly from?: string | undefined;
}

/** Token shards, their share of a mix and their format. */
export interface DataEntryInput {
  /** A file, or a pattern with `*`. */
  readonly path: string;
  /** Its share of a mix is this over the sum of all weights. In all entries of a list, or in none. Number > 0. */
  readonly weight?: number | undefined;
  /**
   * llmc (default): llm.c's, as `prepare` writes it; nanogpt: nanoGPT's uint16 tokens without a header; megatron:
   * Megatron's .bin and .idx.
   */
  readonly format?: "llmc" | "nanogpt" | "megatron" | undefined;
}

/** Token shards to train on, and held-out ones to evaluate on. */
export interface DataInput {
  /**
   * Token shards: a file, a pattern with `*`, or a list of either, or of { path, weight, format }. Relative to the
   * working directory. Weights mix the entries; without them, the shards are one stream in the order of their names.
   * `dataset:NAME` is a dataset that a program gives `Trainer.open`.
   */
  readonly train: string | readonly string[] | readonly DataEntryInput[];
  /**
   * Token shards: a file, a pattern with `*`, or a list of either, or of { path, weight, format }. Relative to the
   * working directory. Weights mix the entries; without them, the shards are one stream in the order of their names.
   * `dataset:NAME` is a dataset that a program gives `Trainer.open`.
   */
  readonly val?: string | readonly string[] | readonly DataEntryInput[] | undefined;
  /**
   * Size of the blocks of tokens that are shuffled: a multiple of patchSize * sequenceLength of every stage. Runs with
   * the same seed and value read the same tokens in the same order. Default: the largest of them. Integer ≥ 1.
   */
  readonly shuffleTokens?: number | undefined;
}

/** Settings of Muon that differ in this stage. */
export interface StageOptimizerMuonInput {
  /** Base learning rate of Muon; the schedule scales it as it scales optimizer.lr. Number > 0. */
  readonly lr?: number | undefined;
  /** Decay rate of the average of the gradient. Number ≥ 0, < 1. */
  readonly momentum?: number | undefined;
  /** Nesterov momentum: the gradient is averaged in once more. */
  readonly nesterov?: boolean | undefined;
  /** Steps of the Newton-Schulz iteration. Integer ≥ 1, ≤ 99. */
  readonly nsSteps?: number | undefined;
  /**
   * What the rate is multiplied by for a matrix [A, B]. original: sqrt(max(1, A / B)). matchRmsAdamw: 0.2 * sqrt(max(A,
   * B)), which gives updates the size of AdamW's, so that its learning rate fits.
   */
  readonly adjustLr?: "original" | "matchRmsAdamw" | undefined;
}

/** Optimizer keys that differ in this stage. */
export interface StageOptimizerInput {
  /** Base learning rate of AdamW; the schedule scales it. Number > 0. */
  readonly lr?: number | undefined;
  /** Decay rates of the first and second moment. */
  readonly betas?: readonly [number, number] | undefined;
  /** Added to the denominator of the update, for numerical stability. Number > 0. */
  readonly eps?: number | undefined;
  /** Decoupled weight decay, applied to matrices only. Number ≥ 0. */
  readonly weightDecay?: number | undefined;
  /** Largest global norm of the gradients: a larger norm is scaled down to it. null: no limit. Number > 0 or null. */
  readonly gradClip?: number | null | undefined;
  /** Settings of Muon that differ in this stage. */
  readonly muon?: StageOptimizerMuonInput | undefined;
}

/** Schedule keys that differ in this stage. */
export interface StageScheduleInput {
  /** After the linear warm-up: cosine decay, a stable rate then linear decay, or a constant rate. */
  readonly type?: "cosine" | "wsd" | "constant" | undefined;
  /** Steps of linear warm-up; at most the schedule's length. Integer ≥ 0. */
  readonly warmupSteps?: number | undefined;
  /** The last step's learning rate as a fraction of the base rate. Number ≥ 0, ≤ 1. */
  readonly minLrRatio?: number | undefined;
  /** wsd only: the last part of the schedule, in which the rate decays. Default 0.1. Number ≥ 0, ≤ 1. */
  readonly decayFraction?: number | undefined;
}

/** Batch keys that differ in this stage. */
export interface StageBatchInput {
  /** Tokens of text per optimizer step; a multiple of patchSize * sequenceLength in every stage. Integer ≥ 1. */
  readonly tokensPerStep?: number | undefined;
  /**
   * Instead of tokensPerStep: positions per optimizer step, a multiple of sequenceLength. A step reads patchSize times
   * as many tokens and costs the same in every stage. Integer ≥ 1.
   */
  readonly positionsPerStep?: number | undefined;
  /** Positions per sequence: a stage of patch size K reads K * sequenceLength tokens per sequence. Integer ≥ 2. */
  readonly sequenceLength?: number | undefined;
  /**
   * Sequences per forward and backward pass; a step adds up the gradients of its passes. auto: chosen for the device
   * and its memory. Auto or integer ≥ 1.
   */
  readonly microBatch?: "auto" | number | undefined;
}

/** A part of the run with one patch size. */
export interface StageInput {
  /** K: tokens per patch. 1 is ordinary token-level training. Integer ≥ 1. */
  readonly patchSize: number;
  /**
   * The stage's share of the run, 0.3 for 30 per cent. One stage may leave it out: it gets the rest. Number > 0, ≤ 1.
   */
  readonly fraction?: number | undefined;
  /**
   * Instead of `fraction`, in all stages but one, which gets the rest: optimizer steps, whatever the run's length.
   * Integer ≥ 1.
   */
  readonly steps?: number | undefined;
  /**
   * What `fraction` is a share of: the run's tokens, its steps or its FLOPs; the same in all stages. Default tokens.
   */
  readonly of?: "tokens" | "steps" | "flops" | undefined;
  /** Optimizer keys that differ in this stage. */
  readonly optimizer?: StageOptimizerInput | undefined;
  /** Schedule keys that differ in this stage. */
  readonly schedule?: StageScheduleInput | undefined;
  /** Batch keys that differ in this stage. */
  readonly batch?: StageBatchInput | undefined;
  /** Keep the optimizer's state (moments, momentum) at the start of a stage instead of resetting it. */
  readonly keepOptimizer?: boolean | undefined;
  /** Weights of the K labels of a patch; they sum to 1. uniform: 1/K each. 1/i: proportional to 1/distance. */
  readonly labelWeights?: "uniform" | "1/i" | undefined;
}

/** The size of a step: exactly one of tokensPerStep and positionsPerStep. */
export interface BatchInput {
  /** Tokens of text per optimizer step; a multiple of patchSize * sequenceLength in every stage. Integer ≥ 1. */
  readonly tokensPerStep?: number | undefined;
  /**
   * Instead of tokensPerStep: positions per optimizer step, a multiple of sequenceLength. A step reads patchSize times
   * as many tokens and costs the same in every stage. Integer ≥ 1.
   */
  readonly positionsPerStep?: number | undefined;
  /** Positions per sequence: a stage of patch size K reads K * sequenceLength tokens per sequence. Integer ≥ 2. */
  readonly sequenceLength: number;
  /**
   * Sequences per forward and backward pass; a step adds up the gradients of its passes. auto: chosen for the device
   * and its memory. Auto or integer ≥ 1. Default auto.
   */
  readonly microBatch?: "auto" | number | undefined;
}

/** How long to train: exactly one of tokens, epochs, steps and flops. */
export interface TrainInput {
  /** Tokens to train on. Integer ≥ 1. */
  readonly tokens?: number | undefined;
  /** Passes over the training shards; may be a fraction. Number > 0. */
  readonly epochs?: number | undefined;
  /** Optimizer steps of all stages together. Integer ≥ 1. */
  readonly steps?: number | undefined;
  /** FLOPs of the model's forward and backward in all stages together, as metrics.jsonl counts them. Number > 0. */
  readonly flops?: number | undefined;
}

/** muon only: settings of Muon. */
export interface OptimizerMuonInput {
  /** Base learning rate of Muon; the schedule scales it as it scales optimizer.lr. Number > 0. Default 0.001. */
  readonly lr?: number | undefined;
  /** Decay rate of the average of the gradient. Number ≥ 0, < 1. Default 0.95. */
  readonly momentum?: number | undefined;
  /** Nesterov momentum: the gradient is averaged in once more. Default true. */
  readonly nesterov?: boolean | undefined;
  /** Steps of the Newton-Schulz iteration. Integer ≥ 1, ≤ 99. Default 5. */
  readonly nsSteps?: number | undefined;
  /**
   * What the rate is multiplied by for a matrix [A, B]. original: sqrt(max(1, A / B)). matchRmsAdamw: 0.2 * sqrt(max(A,
   * B)), which gives updates the size of AdamW's, so that its learning rate fits. Default original.
   */
  readonly adjustLr?: "original" | "matchRmsAdamw" | undefined;
}

/** The optimizer and its settings. */
export interface OptimizerInput {
  /**
   * adamw: AdamW for all parameters. muon: Muon for the matrices of the layers, AdamW for the others. Default adamw.
   */
  readonly type?: "adamw" | "muon" | undefined;
  /** Base learning rate of AdamW; the schedule scales it. Number > 0. Default 3e-4. */
  readonly lr?: number | undefined;
  /** Decay rates of the first and second moment. Default [0.9, 0.95]. */
  readonly betas?: readonly [number, number] | undefined;
  /** Added to the denominator of the update, for numerical stability. Number > 0. Default 1e-8. */
  readonly eps?: number | undefined;
  /** Decoupled weight decay, applied to matrices only. Number ≥ 0. Default 0.1. */
  readonly weightDecay?: number | undefined;
  /**
   * Largest global norm of the gradients: a larger norm is scaled down to it. null: no limit. Number > 0 or null.
   * Default 1.
   */
  readonly gradClip?: number | null | undefined;
  /**
   * Parameters that stay as they are: Hugging Face's names, in which `*` stands for any characters, such as
   * model.layers.0.*. Not with several ranks.
   */
  readonly freeze?: readonly string[] | undefined;
  /** muon only: settings of Muon. */
  readonly muon?: OptimizerMuonInput | undefined;
}

/** The learning rate over time. */
export interface ScheduleInput {
  /** After the linear warm-up: cosine decay, a stable rate then linear decay, or a constant rate. Default cosine. */
  readonly type?: "cosine" | "wsd" | "constant" | undefined;
  /** Steps of linear warm-up; at most the schedule's length. Integer ≥ 0. Default 100. */
  readonly warmupSteps?: number | undefined;
  /** The last step's learning rate as a fraction of the base rate. Number ≥ 0, ≤ 1. Default 0. */
  readonly minLrRatio?: number | undefined;
  /** wsd only: the last part of the schedule, in which the rate decays. Default 0.1. Number ≥ 0, ≤ 1. */
  readonly decayFraction?: number | undefined;
  /** true: the schedule restarts in every stage. false: one schedule over the whole run. Default true. */
  readonly perStage?: boolean | undefined;
}

/** Token-level loss on data.val; needs data.val, and is on if that is set. */
export interface EvalInput {
  /** Steps between evaluations. The last step is always evaluated. Integer ≥ 1. Default 100. */
  readonly everySteps?: number | undefined;
  /** Held-out sequences of sequenceLength tokens per evaluation. Integer ≥ 1. Default 64. */
  readonly sequences?: number | undefined;
}

/** Steps that lie too far above the last ones do not change the model, and are counted. Without it: none. */
export interface GuardInput {
  /** Standard deviations above the mean of the last losses. Number > 0. */
  readonly loss?: number | undefined;
  /** Standard deviations above the mean of the last norms of the gradient. Number > 0. */
  readonly gradNorm?: number | undefined;
  /** How many steps of the stage the mean is over; before them, none is skipped. Integer ≥ 2. Default 128. */
  readonly window?: number | undefined;
}

/** When to save the state that --resume continues from. */
export interface CheckpointInput {
  /** Steps between checkpoints. The last step is always saved. Integer ≥ 1. Default 500. */
  readonly everySteps?: number | undefined;
  /** Also saves one when so many minutes have passed since the last: steps may be long. Number > 0. */
  readonly everyMinutes?: number | undefined;
  /** Intact checkpoints to keep; older ones are deleted. Integer ≥ 1. Default 2. */
  readonly keep?: number | undefined;
  /**
   * Also saves and keeps the checkpoint of the lowest validation loss; the run's file `best` has its name. Needs
   * data.val. Default false.
   */
  readonly keepBest?: boolean | undefined;
  /**
   * What SIGUSR1 and SIGUSR2, by which a scheduler warns of a job's end, do after the checkpoint that they ask for:
   * continue training, or end it. Default continue.
   */
  readonly onSignal?: "continue" | "end" | undefined;
}

/** Training by several processes at once. A run may go on with another number of them. */
export interface ParallelInput {
  /**
   * Processes that train together, which `train` starts on this machine, as `--ranks` does. On `cpu`. Integer ≥ 1.
   * Default 1.
   */
  readonly ranks?: number | undefined;
  /**
   * GPUs of this machine, each of which has a process that trains, as `--devices` says. Without it, a run has the
   * first. Default [].
   */
  readonly devices?: readonly number[] | undefined;
  /**
   * Parameters whose gradients the ranks exchange at once, at least. Default 40 million, or a million for each rank if
   * that is more. Integer ≥ 1.
   */
  readonly bucketParameters?: number | undefined;
  /** Whether the ranks exchange gradients and weights while they compute. The bits are the same. Default true. */
  readonly overlap?: boolean | undefined;
  /**
   * 1: a rank adds up a step's gradient of all parameters. 2: it keeps the sum of its own part alone, which takes less
   * memory, and the ranks exchange gradients in every micro-batch. Default 1.
   */
  readonly zero?: 1 | 2 | undefined;
  /**
   * Seconds that a rank may wait for others, while they compute, read or write; then all end. Number > 0. Default 600.
   */
  readonly timeout?: number | undefined;
}

/** A run config as it is written: what is left out takes its default. */
export interface RunConfigInput {
  /** The run's name, used in its report and, unless `out` is set, for its folder. */
  readonly name: string;
  /**
   * A published way of training in patches: stands for `stages`, `schedule` and `keepOptimizer`, and says whether the
   * batch's step counts tokens or positions. Keys beside it win.
   */
  readonly recipe?: "paper" | "superposition" | undefined;
  /** Keys of a Hugging Face Llama config, or `preset` and the keys that differ. Not needed with init.from. */
  readonly model?: ModelInput | null | undefined;
  /** Where the initial weights come from: a seed or a checkpoint. */
  readonly init?: InitInput | undefined;
  /** Token shards to train on, and held-out ones to evaluate on. */
  readonly data: DataInput;
  /** The stages, in order. Default: one, token-level. */
  readonly stages?: readonly StageInput[] | undefined;
  /** The size of a step: exactly one of tokensPerStep and positionsPerStep. */
  readonly batch: BatchInput;
  /** How long to train: exactly one of tokens, epochs, steps and flops. */
  readonly train: TrainInput;
  /** The optimizer and its settings. */
  readonly optimizer?: OptimizerInput | undefined;
  /** The learning rate over time. */
  readonly schedule?: ScheduleInput | undefined;
  /** Keep the optimizer's state (moments, momentum) at the start of a stage instead of resetting it. Default false. */
  readonly keepOptimizer?: boolean | undefined;
  /**
   * Weights of the K labels of a patch; they sum to 1. uniform: 1/K each. 1/i: proportional to 1/distance. Default
   * uniform.
   */
  readonly labelWeights?: "uniform" | "1/i" | undefined;
  /** Token-level loss on data.val; needs data.val, and is on if that is set. */
  readonly eval?: EvalInput | null | undefined;
  /** Steps that lie too far above the last ones do not change the model, and are counted. Without it: none. */
  readonly guard?: GuardInput | undefined;
  /** When to save the state that --resume continues from. */
  readonly checkpoint?: CheckpointInput | undefined;
  /** What else follows the run's metrics. tensorboard: event files in the run's folder, for TensorBoard. Default []. */
  readonly logger?: readonly "tensorboard"[] | undefined;
  /** auto, cpu, cuda, cuda:N or simt. auto chooses a device and prints its choice. Default auto. */
  readonly device?: DeviceSpec | undefined;
  /** Precision of activations and matrix products. auto: bf16 if the device supports it, fp32 if not. Default auto. */
  readonly precision?: "auto" | "bf16" | "fp32" | undefined;
  /**
   * What the backward computes again instead of keeping it: none; elementwise: norms and SwiGLU's product; block: all
   * of a layer except its residual stream. The loss is the same, bit for bit, if the micro-batch is. Default none.
   */
  readonly recompute?: "none" | "elementwise" | "block" | undefined;
  /**
   * cuda only: a file of `nextpatch tune`, with algorithms for this config's matrix products on this GPU. The run keeps
   * a copy. null: cuBLASLt's first choice. Default null.
   */
  readonly productTable?: string | null | undefined;
  /** Training by several processes at once. A run may go on with another number of them. */
  readonly parallel?: ParallelInput | undefined;
  /** Seed of the order of the data and, unless init.seed is set, of the initial weights. Integer ≥ 0. Default 1. */
  readonly seed?: number | undefined;
  /** The run's folder, relative to the working directory. Default runs/<name>. */
  readonly out?: string | undefined;
  /** For editors: the address of this schema, `./node_modules/nextpatch/schema.json`. */
  readonly $schema?: string | undefined;
}

/** The size of a step: exactly one of tokensPerStep and positionsPerStep. */
export interface BatchValues {
  /** Tokens of text per optimizer step; a multiple of patchSize * sequenceLength in every stage. Integer ≥ 1. */
  readonly tokensPerStep?: number | undefined;
  /**
   * Instead of tokensPerStep: positions per optimizer step, a multiple of sequenceLength. A step reads patchSize times
   * as many tokens and costs the same in every stage. Integer ≥ 1.
   */
  readonly positionsPerStep?: number | undefined;
  /** Positions per sequence: a stage of patch size K reads K * sequenceLength tokens per sequence. Integer ≥ 2. */
  readonly sequenceLength: number;
  /**
   * Sequences per forward and backward pass; a step adds up the gradients of its passes. auto: chosen for the device
   * and its memory. Auto or integer ≥ 1.
   */
  readonly microBatch: "auto" | number;
}

/** muon only: settings of Muon. */
export interface OptimizerMuonValues {
  /** Base learning rate of Muon; the schedule scales it as it scales optimizer.lr. Number > 0. */
  readonly lr: number;
  /** Decay rate of the average of the gradient. Number ≥ 0, < 1. */
  readonly momentum: number;
  /** Nesterov momentum: the gradient is averaged in once more. */
  readonly nesterov: boolean;
  /** Steps of the Newton-Schulz iteration. Integer ≥ 1, ≤ 99. */
  readonly nsSteps: number;
  /**
   * What the rate is multiplied by for a matrix [A, B]. original: sqrt(max(1, A / B)). matchRmsAdamw: 0.2 * sqrt(max(A,
   * B)), which gives updates the size of AdamW's, so that its learning rate fits.
   */
  readonly adjustLr: "original" | "matchRmsAdamw";
}

/** The optimizer and its settings. */
export interface OptimizerValues {
  /** adamw: AdamW for all parameters. muon: Muon for the matrices of the layers, AdamW for the others. */
  readonly type: "adamw" | "muon";
  /** Base learning rate of AdamW; the schedule scales it. Number > 0. */
  readonly lr: number;
  /** Decay rates of the first and second moment. */
  readonly betas: readonly [number, number];
  /** Added to the denominator of the update, for numerical stability. Number > 0. */
  readonly eps: number;
  /** Decoupled weight decay, applied to matrices only. Number ≥ 0. */
  readonly weightDecay: number;
  /** Largest global norm of the gradients: a larger norm is scaled down to it. null: no limit. Number > 0 or null. */
  readonly gradClip: number | null;
  /**
   * Parameters that stay as they are: Hugging Face's names, in which `*` stands for any characters, such as
   * model.layers.0.*. Not with several ranks.
   */
  readonly freeze?: readonly string[] | undefined;
  /** muon only: settings of Muon. */
  readonly muon?: OptimizerMuonValues | undefined;
}

/** The learning rate over time. */
export interface ScheduleValues {
  /** After the linear warm-up: cosine decay, a stable rate then linear decay, or a constant rate. */
  readonly type: "cosine" | "wsd" | "constant";
  /** Steps of linear warm-up; at most the schedule's length. Integer ≥ 0. */
  readonly warmupSteps: number;
  /** The last step's learning rate as a fraction of the base rate. Number ≥ 0, ≤ 1. */
  readonly minLrRatio: number;
  /** wsd only: the last part of the schedule, in which the rate decays. Default 0.1. Number ≥ 0, ≤ 1. */
  readonly decayFraction?: number | undefined;
  /** true: the schedule restarts in every stage. false: one schedule over the whole run. */
  readonly perStage: boolean;
}

/** Token-level loss on data.val; needs data.val, and is on if that is set. */
export interface EvalValues {
  /** Steps between evaluations. The last step is always evaluated. Integer ≥ 1. */
  readonly everySteps: number;
  /** Held-out sequences of sequenceLength tokens per evaluation. Integer ≥ 1. */
  readonly sequences: number;
}

/** Steps that lie too far above the last ones do not change the model, and are counted. Without it: none. */
export interface GuardValues {
  /** Standard deviations above the mean of the last losses. Number > 0. */
  readonly loss?: number | undefined;
  /** Standard deviations above the mean of the last norms of the gradient. Number > 0. */
  readonly gradNorm?: number | undefined;
  /** How many steps of the stage the mean is over; before them, none is skipped. Integer ≥ 2. */
  readonly window: number;
}

/** When to save the state that --resume continues from. */
export interface CheckpointValues {
  /** Steps between checkpoints. The last step is always saved. Integer ≥ 1. */
  readonly everySteps: number;
  /** Also saves one when so many minutes have passed since the last: steps may be long. Number > 0. */
  readonly everyMinutes?: number | undefined;
  /** Intact checkpoints to keep; older ones are deleted. Integer ≥ 1. */
  readonly keep: number;
  /**
   * Also saves and keeps the checkpoint of the lowest validation loss; the run's file `best` has its name. Needs
   * data.val.
   */
  readonly keepBest: boolean;
  /**
   * What SIGUSR1 and SIGUSR2, by which a scheduler warns of a job's end, do after the checkpoint that they ask for:
   * continue training, or end it.
   */
  readonly onSignal: "continue" | "end";
}

/** Training by several processes at once. A run may go on with another number of them. */
export interface ParallelValues {
  /** Processes that train together, which `train` starts on this machine, as `--ranks` does. On `cpu`. Integer ≥ 1. */
  readonly ranks: number;
  /**
   * GPUs of this machine, each of which has a process that trains, as `--devices` says. Without it, a run has the
   * first.
   */
  readonly devices: readonly number[];
  /**
   * Parameters whose gradients the ranks exchange at once, at least. Default 40 million, or a million for each rank if
   * that is more. Integer ≥ 1.
   */
  readonly bucketParameters?: number | undefined;
  /** Whether the ranks exchange gradients and weights while they compute. The bits are the same. */
  readonly overlap: boolean;
  /**
   * 1: a rank adds up a step's gradient of all parameters. 2: it keeps the sum of its own part alone, which takes less
   * memory, and the ranks exchange gradients in every micro-batch.
   */
  readonly zero: 1 | 2;
  /** Seconds that a rank may wait for others, while they compute, read or write; then all end. Number > 0. */
  readonly timeout: number;
}

/** A run config with its defaults, but for what config.ts resolves. */
export interface ConfigValues {
  /** The run's name, used in its report and, unless `out` is set, for its folder. */
  readonly name: string;
  /**
   * A published way of training in patches: stands for `stages`, `schedule` and `keepOptimizer`, and says whether the
   * batch's step counts tokens or positions. Keys beside it win.
   */
  readonly recipe?: "paper" | "superposition" | undefined;
  /** Keys of a Hugging Face Llama config, or `preset` and the keys that differ. Not needed with init.from. */
  readonly model?: Readonly<Record<string, unknown>> | undefined;
  /** Where the initial weights come from: a seed or a checkpoint. */
  readonly init: InitInput;
  /** Token shards to train on, and held-out ones to evaluate on. */
  readonly data: DataInput;
  /** The stages, in order. Default: one, token-level. */
  readonly stages: readonly StageInput[];
  /** The size of a step: exactly one of tokensPerStep and positionsPerStep. */
  readonly batch: BatchValues;
  /** How long to train: exactly one of tokens, epochs, steps and flops. */
  readonly train: TrainInput;
  /** The optimizer and its settings. */
  readonly optimizer: OptimizerValues;
  /** The learning rate over time. */
  readonly schedule: ScheduleValues;
  /** Keep the optimizer's state (moments, momentum) at the start of a stage instead of resetting it. */
  readonly keepOptimizer: boolean;
  /** Weights of the K labels of a patch; they sum to 1. uniform: 1/K each. 1/i: proportional to 1/distance. */
  readonly labelWeights: "uniform" | "1/i";
  /** Token-level loss on data.val; needs data.val, and is on if that is set. */
  readonly eval?: EvalValues | undefined;
  /** Steps that lie too far above the last ones do not change the model, and are counted. Without it: none. */
  readonly guard?: GuardValues | undefined;
  /** When to save the state that --resume continues from. */
  readonly checkpoint: CheckpointValues;
  /** What else follows the run's metrics. tensorboard: event files in the run's folder, for TensorBoard. */
  readonly logger: readonly "tensorboard"[];
  /** auto, cpu, cuda, cuda:N or simt. auto chooses a device and prints its choice. */
  readonly device: DeviceSpec;
  /** Precision of activations and matrix products. auto: bf16 if the device supports it, fp32 if not. */
  readonly precision: "auto" | "bf16" | "fp32";
  /**
   * What the backward computes again instead of keeping it: none; elementwise: norms and SwiGLU's product; block: all
   * of a layer except its residual stream. The loss is the same, bit for bit, if the micro-batch is.
   */
  readonly recompute: "none" | "elementwise" | "block";
  /**
   * cuda only: a file of `nextpatch tune`, with algorithms for this config's matrix products on this GPU. The run keeps
   * a copy. null: cuBLASLt's first choice.
   */
  readonly productTable: string | null;
  /** Training by several processes at once. A run may go on with another number of them. */
  readonly parallel: ParallelValues;
  /** Seed of the order of the data and, unless init.seed is set, of the initial weights. Integer ≥ 0. */
  readonly seed: number;
  /** The run's folder, relative to the working directory. Default runs/<name>. */
  readonly out?: string | undefined;
  /** For editors: the address of this schema, `./node_modules/nextpatch/schema.json`. */
  readonly $schema?: string | undefined;
}
