/**
 * The run config, field by field: the one place that says what a key is called, what it may hold, what it defaults to
 * and what it means. The types (`npm run docs` writes config_types.ts), the messages and the JSON schema come from here.
 */
import { z } from "zod";
import { shardFormats } from "../data/format_names.js";
import { type DeviceSpec, deviceNames, deviceNamesInWords, precisionNames } from "../device_names.js";
import { defaultTimeout } from "../ranks/timeout.js";
import { adjustLrKinds } from "./adjust_lr.js";
import { labelWeightKinds } from "./label_weights.js";
import { loggerNames } from "./logger_names.js";
import { adamwDefaults, muonDefaults } from "./optimizer_defaults.js";
import { recipeNames } from "./recipes.js";
import { recomputeKinds } from "./recompute.js";
import { scheduleDefaults, scheduleTypes } from "./schedule.js";

/** What the shares of stages are counted in. */
export const shareUnits = ["tokens", "steps", "flops"] as const;

const positiveInteger = z.int().min(1);
const positive = z.number().gt(0);
const ratio = z.number().min(0).max(1);
const text = z
  .string()
  .min(1)
  .refine((value) => !value.includes("\0"), { error: "expected a text without a NUL character" });

const entry = z
  .strictObject({
    path: text.describe("A file, or a pattern with `*`."),
    weight: z
      .number()
      .positive()
      .optional()
      .describe("Its share of a mix is this over the sum of all weights. In all entries of a list, or in none."),
    format: z
      .enum(shardFormats)
      .optional()
      .describe(
        "llmc (default): llm.c's, as `prepare` writes it; nanogpt: nanoGPT's uint16 tokens without a header; megatron: " +
          "Megatron's .bin and .idx.",
      ),
  })
  .describe("Token shards, their share of a mix and their format.");

const patterns = z
  .union([text, z.array(text).min(1), z.array(entry).min(1)], {
    error: "expected a file name, a pattern, a list of them or a list of { path, weight, format }",
  })
  .describe(
    "Token shards: a file, a pattern with `*`, or a list of either, or of { path, weight, format }. Relative to the " +
      "working directory. Weights mix the entries; without them, the shards are one stream in the order of their names. " +
      "`dataset:NAME` is a dataset that a program gives `Trainer.open`.",
  );

/** A section of a stage: the keys of the run's section, each optional and without its default. */
function overrides<Shape extends z.core.$ZodShape>(section: z.ZodObject<Shape>) {
  type Override<Field> =
    Field extends z.ZodDefault<infer Inner> ? z.ZodOptional<Inner> : z.ZodOptional<Field & z.core.$ZodType>;
  const fields = Object.entries(section.shape).map(([key, field]) => [
    key,
    z.optional(field instanceof z.ZodDefault ? field.unwrap() : field),
  ]);
  return z.strictObject(Object.fromEntries(fields) as { [Key in keyof Shape]: Override<Shape[Key]> });
}

/** The muon section of the optimizer; defaults as torch.optim.Muon's. */
export const muonSchema = z.strictObject({
  lr: positive.describe("Base learning rate of Muon; the schedule scales it as it scales optimizer.lr.").default(1e-3),
  momentum: z
    .number()
    .min(0)
    .lt(1)
    .describe("Decay rate of the average of the gradient.")
    .default(muonDefaults.momentum),
  nesterov: z
    .boolean()
    .describe("Nesterov momentum: the gradient is averaged in once more.")
    .default(muonDefaults.nesterov),
  nsSteps: z.int().min(1).max(99).describe("Steps of the Newton-Schulz iteration.").default(muonDefaults.nsSteps),
  adjustLr: z
    .enum(adjustLrKinds)
    .describe(
      "What the rate is multiplied by for a matrix [A, B]. original: sqrt(max(1, A / B)). matchRmsAdamw: " +
        "0.2 * sqrt(max(A, B)), which gives updates the size of AdamW's, so that its learning rate fits.",
    )
    .default(muonDefaults.adjustLr),
});

const optimizer = z.strictObject({
  type: z
    .enum(["adamw", "muon"])
    .describe("adamw: AdamW for all parameters. muon: Muon for the matrices of the layers, AdamW for the others.")
    .default("adamw"),
  lr: positive.describe("Base learning rate of AdamW; the schedule scales it.").default(3e-4),
  betas: z
    .tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)])
    .describe("Decay rates of the first and second moment.")
    .default([...adamwDefaults.betas]),
  eps: positive.describe("Added to the denominator of the update, for numerical stability.").default(adamwDefaults.eps),
  weightDecay: z
    .number()
    .min(0)
    .describe("Decoupled weight decay, applied to matrices only.")
    .default(adamwDefaults.weightDecay),
  gradClip: positive
    .nullable()
    .describe("Largest global norm of the gradients: a larger norm is scaled down to it. null: no limit.")
    .default(adamwDefaults.gradClip),
  freeze: z
    .array(text)
    .optional()
    .describe(
      "Parameters that stay as they are: Hugging Face's names, in which `*` stands for any characters, such as " +
        "model.layers.0.*. Not with several ranks.",
    ),
  // No default: if it is given, the type must be muon.
  muon: muonSchema.optional().describe("muon only: settings of Muon."),
});

/** All of a run has one optimizer of the same parameters, so a stage changes its settings only. */
const stageOptimizer = overrides(optimizer.omit({ type: true, freeze: true, muon: true })).extend({
  muon: overrides(muonSchema).optional().describe("Settings of Muon that differ in this stage."),
});

const schedule = z.strictObject({
  type: z
    .enum(scheduleTypes)
    .describe("After the linear warm-up: cosine decay, a stable rate then linear decay, or a constant rate.")
    .default(scheduleDefaults.type),
  warmupSteps: z
    .int()
    .min(0)
    .describe("Steps of linear warm-up; at most the schedule's length.")
    .default(scheduleDefaults.warmupSteps),
  minLrRatio: ratio
    .describe("The last step's learning rate as a fraction of the base rate.")
    .default(scheduleDefaults.minLrRatio),
  // No default: if it is given, the type must be wsd.
  decayFraction: ratio
    .optional()
    .describe(
      `wsd only: the last part of the schedule, in which the rate decays. Default ${scheduleDefaults.decayFraction}.`,
    ),
});

const batch = z.strictObject({
  // Exactly one of the two.
  tokensPerStep: positiveInteger
    .optional()
    .describe("Tokens of text per optimizer step; a multiple of patchSize * sequenceLength in every stage."),
  positionsPerStep: positiveInteger
    .optional()
    .describe(
      "Instead of tokensPerStep: positions per optimizer step, a multiple of sequenceLength. A step reads patchSize " +
        "times as many tokens and costs the same in every stage.",
    ),
  sequenceLength: z
    .int()
    .min(2)
    .describe("Positions per sequence: a stage of patch size K reads K * sequenceLength tokens per sequence."),
  microBatch: z
    .union([z.literal("auto"), positiveInteger], { error: 'expected "auto" or a positive integer' })
    .describe(
      "Sequences per forward and backward pass; a step adds up the gradients of its passes. auto: chosen for the " +
        "device and its memory.",
    )
    .default("auto"),
});

const keepOptimizer = z
  .boolean()
  .describe("Keep the optimizer's state (moments, momentum) at the start of a stage instead of resetting it.");

const labelWeights = z
  .enum(labelWeightKinds)
  .describe("Weights of the K labels of a patch; they sum to 1. uniform: 1/K each. 1/i: proportional to 1/distance.");

const stage = z
  .strictObject({
    patchSize: positiveInteger.describe("K: tokens per patch. 1 is ordinary token-level training."),
    fraction: z
      .number()
      .gt(0)
      .max(1)
      .optional()
      .describe("The stage's share of the run, 0.3 for 30 per cent. One stage may leave it out: it gets the rest."),
    steps: positiveInteger
      .optional()
      .describe(
        "Instead of `fraction`, in all stages but one, which gets the rest: optimizer steps, whatever the run's length.",
      ),
    of: z
      .enum(shareUnits)
      .optional()
      .describe(
        "What `fraction` is a share of: the run's tokens, its steps or its FLOPs; the same in all stages. Default tokens.",
      ),
    optimizer: stageOptimizer.optional().describe("Optimizer keys that differ in this stage."),
    schedule: overrides(schedule).optional().describe("Schedule keys that differ in this stage."),
    batch: overrides(batch).optional().describe("Batch keys that differ in this stage."),
    keepOptimizer: keepOptimizer.optional(),
    labelWeights: labelWeights.optional(),
  })
  .describe("A part of the run with one patch size.");

/** The eval section, which a run with held-out data has even if its config does not say so. */
export const evalSchema = z.strictObject({
  everySteps: positiveInteger.describe("Steps between evaluations. The last step is always evaluated.").default(100),
  sequences: positiveInteger.describe("Held-out sequences of sequenceLength tokens per evaluation.").default(64),
});

/** The schema of a run config file. The model section is read by lib/config/model.ts. */
export const runConfigSchema = z.strictObject({
  name: text.describe("The run's name, used in its report and, unless `out` is set, for its folder."),
  recipe: z
    .enum(recipeNames)
    .optional()
    .describe(
      "A published way of training in patches: stands for `stages`, `schedule` and `keepOptimizer`, and says whether the " +
        "batch's step counts tokens or positions. Keys beside it win.",
    ),
  model: z
    .record(z.string(), z.unknown())
    .optional()
    .describe("Keys of a Hugging Face Llama config, or `preset` and the keys that differ. Not needed with init.from."),
  init: z
    .strictObject({
      seed: z.int().min(0).optional().describe("Seed of a random initialisation. Default: the run's seed."),
      from: text
        .optional()
        .describe(
          "A Hugging Face model folder to continue from, relative to the working directory; or org/name of a model in " +
            "Hugging Face's cache on this machine (`hf download org/name` puts it there).",
        ),
    })
    .prefault({})
    .describe("Where the initial weights come from: a seed or a checkpoint."),
  data: z
    .strictObject({
      train: patterns,
      val: patterns.optional(),
      shuffleTokens: positiveInteger
        .optional()
        .describe(
          "Size of the blocks of tokens that are shuffled: a multiple of patchSize * sequenceLength of every stage. Runs " +
            "with the same seed and value read the same tokens in the same order. Default: the largest of them.",
        ),
    })
    .describe("Token shards to train on, and held-out ones to evaluate on."),
  stages: z
    .array(stage)
    .min(1)
    .describe("The stages, in order. Default: one, token-level.")
    .default([{ patchSize: 1 }]),
  batch: batch.describe("The size of a step: exactly one of tokensPerStep and positionsPerStep."),
  train: z
    .strictObject({
      tokens: positiveInteger.optional().describe("Tokens to train on."),
      epochs: positive.optional().describe("Passes over the training shards; may be a fraction."),
      steps: positiveInteger.optional().describe("Optimizer steps of all stages together."),
      flops: positive
        .optional()
        .describe("FLOPs of the model's forward and backward in all stages together, as metrics.jsonl counts them."),
    })
    .describe("How long to train: exactly one of tokens, epochs, steps and flops."),
  optimizer: optimizer.prefault({}).describe("The optimizer and its settings."),
  schedule: schedule
    .extend({
      perStage: z
        .boolean()
        .describe("true: the schedule restarts in every stage. false: one schedule over the whole run.")
        .default(true),
    })
    .prefault({})
    .describe("The learning rate over time."),
  keepOptimizer: keepOptimizer.default(false),
  labelWeights: labelWeights.default("uniform"),
  eval: evalSchema.optional().describe("Token-level loss on data.val; needs data.val, and is on if that is set."),
  guard: z
    .strictObject({
      loss: positive.optional().describe("Standard deviations above the mean of the last losses."),
      gradNorm: positive.optional().describe("Standard deviations above the mean of the last norms of the gradient."),
      window: z
        .int()
        .min(2)
        .default(128)
        .describe("How many steps of the stage the mean is over; before them, none is skipped."),
    })
    .optional()
    .describe("Steps that lie too far above the last ones do not change the model, and are counted. Without it: none."),
  checkpoint: z
    .strictObject({
      everySteps: positiveInteger.default(500).describe("Steps between checkpoints. The last step is always saved."),
      everyMinutes: positive
        .optional()
        .describe("Also saves one when so many minutes have passed since the last: steps may be long."),
      keep: positiveInteger.default(2).describe("Intact checkpoints to keep; older ones are deleted."),
      keepBest: z
        .boolean()
        .default(false)
        .describe(
          "Also saves and keeps the checkpoint of the lowest validation loss; the run's file `best` has its name. Needs data.val.",
        ),
      onSignal: z
        .enum(["continue", "end"])
        .default("continue")
        .describe(
          "What SIGUSR1 and SIGUSR2, by which a scheduler warns of a job's end, do after the checkpoint that they ask for: " +
            "continue training, or end it.",
        ),
    })
    .prefault({})
    .describe("When to save the state that --resume continues from."),
  logger: z
    .array(z.enum(loggerNames))
    .default([])
    .describe("What else follows the run's metrics. tensorboard: event files in the run's folder, for TensorBoard."),
  device: (
    z.string().regex(deviceNames, { error: `expected ${deviceNamesInWords}` }) as z.ZodType as z.ZodType<
      DeviceSpec,
      DeviceSpec
    >
  )
    .default("auto")
    .describe(`${deviceNamesInWords}. auto chooses a device and prints its choice.`),
  precision: z
    .enum(precisionNames)
    .default("auto")
    .describe("Precision of activations and matrix products. auto: bf16 if the device supports it, fp32 if not."),
  recompute: z
    .enum(recomputeKinds)
    .default("none")
    .describe(
      "What the backward computes again instead of keeping it: none; elementwise: norms and SwiGLU's product; block: all " +
        "of a layer except its residual stream. The loss is the same, bit for bit, if the micro-batch is.",
    ),
  productTable: text
    .nullable()
    .default(null)
    .describe(
      "cuda only: a file of `nextpatch tune`, with algorithms for this config's matrix products on this GPU. The run keeps " +
        "a copy. null: cuBLASLt's first choice.",
    ),
  parallel: z
    .strictObject({
      ranks: positiveInteger
        .default(1)
        .describe("Processes that train together, which `train` starts on this machine, as `--ranks` does. On `cpu`."),
      devices: z
        .array(z.int().min(0))
        .refine((devices) => new Set(devices).size === devices.length, { error: "expected different numbers" })
        .default([])
        .describe(
          "GPUs of this machine, each of which has a process that trains, as `--devices` says. Without it, a run has the first.",
        ),
      bucketParameters: positiveInteger
        .optional()
        .describe(
          "Parameters whose gradients the ranks exchange at once, at least. Default 40 million, or a million for each rank if " +
            "that is more.",
        ),
      overlap: z
        .boolean()
        .default(true)
        .describe("Whether the ranks exchange gradients and weights while they compute. The bits are the same."),
      zero: z
        .literal([1, 2])
        .default(1)
        .describe(
          "1: a rank adds up a step's gradient of all parameters. 2: it keeps the sum of its own part alone, which takes less " +
            "memory, and the ranks exchange gradients in every micro-batch.",
        ),
      timeout: z
        .number()
        .positive()
        .default(defaultTimeout)
        .describe("Seconds that a rank may wait for others, while they compute, read or write; then all end."),
    })
    .prefault({})
    .describe("Training by several processes at once. A run may go on with another number of them."),
  seed: z
    .int()
    .min(0)
    .default(1)
    .describe("Seed of the order of the data and, unless init.seed is set, of the initial weights."),
  out: text.optional().describe("The run's folder, relative to the working directory. Default runs/<name>."),
  $schema: z
    .string()
    .optional()
    .describe("For editors: the address of this schema, `./node_modules/nextpatch/schema.json`."),
});

/** The JSON Schema (draft 2020-12) of a run config file, or of what reading it gives: for editors and documentation. */
export function runConfigJsonSchema(io: "input" | "output" = "input"): Record<string, unknown> {
  return z.toJSONSchema(runConfigSchema, { io }) as Record<string, unknown>;
}
