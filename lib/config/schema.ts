/**
 * The run config, field by field: the one place that says what a key is called, what it may hold, what it defaults to
 * and what it means. The types, the messages and the JSON schema all come from here.
 */
import { z } from "zod";

const positiveInteger = z.int().min(1);
const positive = z.number().gt(0);
const ratio = z.number().min(0).max(1);
const text = z.string().min(1);

const patterns = z
  .union([text, z.array(text).min(1)], { error: "expected a file name, a pattern or a list of them" })
  .describe("Token shards: a file, a pattern with `*`, or a list of either. Relative to the working directory.");

const optimizer = z.strictObject({
  lr: positive.describe("Base learning rate of AdamW; the schedule scales it. Default 3e-4."),
  betas: z
    .tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)])
    .describe("Decay rates of the first and second moment. Default [0.9, 0.95]."),
  eps: positive.describe("Added to the denominator of the update. Default 1e-8."),
  weightDecay: z.number().min(0).describe("Decoupled weight decay, applied to matrices only. Default 0.1."),
  gradClip: positive
    .nullable()
    .describe("Largest global norm of the gradients, to which larger ones are scaled down; null: no limit. Default 1."),
});

const schedule = z.strictObject({
  type: z
    .enum(["cosine", "wsd", "constant"])
    .describe("What follows the linear warm-up: cosine decay, stable then linear decay, or nothing. Default cosine."),
  warmupSteps: z.int().min(0).describe("Steps of linear warm-up, cut to the schedule's length. Default 100."),
  minLrRatio: ratio.describe("The last step's rate as a fraction of the base rate. Default 0."),
  decayFraction: ratio.optional().describe("wsd only: the part of the schedule that decays, at its end. Default 0.1."),
});

const batch = z.strictObject({
  tokensPerStep: positiveInteger.describe(
    "Tokens of text per optimizer step; a multiple of patchSize * sequenceLength in every stage.",
  ),
  sequenceLength: z
    .int()
    .min(2)
    .describe("Positions per sequence: a stage of patch size K reads K * sequenceLength tokens per sequence."),
  microBatch: z
    .union([z.literal("auto"), positiveInteger], { error: 'expected "auto" or a positive integer' })
    .describe(
      "Sequences per forward and backward pass; gradients are summed up to a step. auto: what suits the device and " +
        "fits its memory.",
    ),
});

const keepOptimizer = z
  .boolean()
  .describe("Carry AdamW's moments into a new stage instead of starting it with fresh ones. Default false.");

const labelWeights = z
  .enum(["uniform", "1/i"])
  .describe(
    "Weights of the K labels of a patch, summing to 1: 1/K each, or of the label at distance i proportional to 1/i. " +
      "Default uniform.",
  );

const stage = z.strictObject({
  patchSize: positiveInteger.describe("K: tokens per patch. 1 is ordinary token-level training."),
  fraction: z
    .number()
    .gt(0)
    .max(1)
    .optional()
    .describe("The stage's share of all training tokens; one stage may omit it and takes the rest."),
  optimizer: optimizer.partial().optional().describe("Optimizer keys in which this stage differs."),
  schedule: schedule.partial().optional().describe("Schedule keys in which this stage differs."),
  batch: batch.partial().optional().describe("Batch keys in which this stage differs."),
  keepOptimizer: keepOptimizer.optional(),
  labelWeights: labelWeights.optional(),
});

/** The schema of a run config file. The model section is read by lib/config/model.ts. */
export const runConfigSchema = z.strictObject({
  name: text.describe("The run's name, for its report and, unless `out` is set, its folder."),
  model: z
    .record(z.string(), z.unknown())
    .optional()
    .describe("Keys of a Hugging Face Llama config, or `preset` and the keys that differ; not needed with init.from."),
  init: z
    .strictObject({
      seed: z.int().min(0).optional().describe("Seed of a random initialisation. Default: the run's seed."),
      from: text
        .optional()
        .describe("A Hugging Face model folder to continue from, relative to the working directory."),
    })
    .prefault({})
    .describe("Where the first weights come from: a seed or a checkpoint."),
  data: z
    .strictObject({
      train: patterns,
      val: patterns.optional(),
      shuffleTokens: positiveInteger
        .optional()
        .describe(
          "Neighbouring tokens that are shuffled as one: a multiple of patchSize * sequenceLength in every stage. Runs " +
            "of one seed with the same value read the same tokens in the same order. Default: the largest of them.",
        ),
    })
    .describe("Token shards to train on and, held out, to evaluate on."),
  stages: z
    .array(stage)
    .min(1)
    .default([{ patchSize: 1 }])
    .describe("The stages, in order. Default: one, token-level."),
  batch: batch.extend({ microBatch: batch.shape.microBatch.default("auto") }).describe("The size of a step."),
  train: z
    .strictObject({
      tokens: positiveInteger.optional().describe("Tokens to train on."),
      epochs: positive.optional().describe("Passes over the training shards; need not be whole."),
      steps: positiveInteger.optional().describe("Optimizer steps of all stages together."),
    })
    .describe("How long to train: exactly one of the three."),
  optimizer: z
    .strictObject({
      lr: optimizer.shape.lr.default(3e-4),
      betas: optimizer.shape.betas.default([0.9, 0.95]),
      eps: optimizer.shape.eps.default(1e-8),
      weightDecay: optimizer.shape.weightDecay.default(0.1),
      gradClip: optimizer.shape.gradClip.default(1),
    })
    .prefault({})
    .describe("AdamW."),
  schedule: z
    .strictObject({
      type: schedule.shape.type.default("cosine"),
      warmupSteps: schedule.shape.warmupSteps.default(100),
      minLrRatio: schedule.shape.minLrRatio.default(0),
      decayFraction: schedule.shape.decayFraction,
      perStage: z.boolean().default(true).describe("Restart in every stage; false: one schedule over the whole run."),
    })
    .prefault({})
    .describe("The learning rate over time."),
  keepOptimizer: keepOptimizer.default(false),
  labelWeights: labelWeights.default("uniform"),
  eval: z
    .strictObject({
      everySteps: positiveInteger.default(100).describe("Steps between evaluations; the last step always has one."),
      sequences: positiveInteger.default(64).describe("Held-out sequences of sequenceLength tokens per evaluation."),
    })
    .optional()
    .describe("Token-level loss on data.val. Default, where data.val is set: every 100 steps, 64 sequences."),
  checkpoint: z
    .strictObject({
      everySteps: positiveInteger.default(500).describe("Steps between checkpoints; the last step always has one."),
      keep: positiveInteger.default(2).describe("Checkpoints to keep; older ones are deleted."),
    })
    .prefault({})
    .describe("When the state is saved, to be resumed from."),
  device: z
    .string()
    .regex(/^(auto|cpu|simt|cuda(:\d+)?)$/, { error: "expected auto, cpu, cuda, cuda:N or simt" })
    .default("auto")
    .describe("auto, cpu, cuda, cuda:N or simt. Only auto chooses, and says what it chose."),
  precision: z
    .enum(["auto", "bf16", "fp32"])
    .default("auto")
    .describe("Of activations and matrix products. auto: bf16 where the device computes in it, else fp32."),
  seed: z
    .int()
    .min(0)
    .default(1)
    .describe("Seed of the order of the data and, unless init.seed is set, of the weights."),
  out: text.optional().describe("The run's folder, relative to the working directory. Default runs/<name>."),
});

/** The JSON Schema (draft 2020-12) of a run config file, for editors and documentation. */
export function runConfigJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(runConfigSchema, { io: "input" }) as Record<string, unknown>;
}
