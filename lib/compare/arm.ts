/** An arm of a comparison: one way of training, run once per seed. */
import { join } from "node:path";
import type { RunConfig } from "../config/config.js";
import { type ResolvedStage, resolveStages } from "../config/stages.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { forwardFlops, stepFlops } from "../nn/flops.js";
import { deriveConfig } from "./derive.js";

/** FLOPs of the parts that have any; see nn/flops.ts. */
export interface PartFlops {
  readonly embedding: number;
  /** Projections and attention. */
  readonly transformer: number;
  readonly head: number;
}

/** What a run does, step by step. */
export interface RunLength {
  readonly stages: readonly ResolvedStage[];
  readonly steps: number;
  readonly tokens: number;
  /** FLOPs of a step of each stage; see nn/flops.ts. */
  readonly stepFlops: readonly number[];
  /** FLOPs of all its steps. */
  readonly flops: number;
}

/** A run of an arm, in a folder of its own. */
export interface ArmRun extends RunLength {
  readonly seed: number;
  /** The displayed name: `token-level`, and `token-level, seed 2` where there are several seeds. */
  readonly label: string;
  readonly config: RunConfig;
}

/** A way of training. */
export interface Arm extends RunLength {
  /** The displayed name: `token-level`, `K = 4, fraction 0.6667`, `paper, equal cost`. */
  readonly label: string;
  /** Of its first seed; the other seeds' differ in seed and folder. */
  readonly config: RunConfig;
  /** Forward FLOPs of all its steps; a part's backward costs the same multiple of them in every run. */
  readonly partFlops: PartFlops;
  /** One for each of the comparison's seeds, in their order. */
  readonly runs: readonly ArmRun[];
}

/** What all arms of a comparison have in common. */
export interface Common {
  /** The config that is compared. */
  readonly config: RunConfig;
  readonly shape: LlamaConfig;
  /** Tokens in the training shards. */
  readonly availableTokens: number;
  /** Null: the config's own seed alone. */
  readonly seeds: readonly number[] | null;
}

/** An arm before its seeds. */
export interface ArmDraft {
  /** The displayed name. */
  readonly label: string;
  /** Below the comparison's. */
  readonly folder: string;
  readonly config: RunConfig;
}

/** The arm of a draft, with a run for each seed. @throws ConfigError */
export function makeArm(common: Common, { label, folder, config: changed }: ArmDraft): Arm {
  const { config, seeds } = common;
  const length = lengthOf(common, changed);
  const own = seeds ?? [config.seed];
  const runs = own.map((seed): ArmRun => {
    const name = own.length > 1 ? `${label}, seed ${seed}` : label;
    const changes = {
      name: `${config.name}: ${name}`,
      out: join(config.out, folder, `seed-${seed}`),
      ...(seeds && seedOf(changed, seed)),
    };
    return { ...length, seed, label: name, config: deriveConfig(changed, changes, label) };
  });
  return { ...length, label, config: runs[0]!.config, partFlops: countPartFlops(length.stages, common.shape), runs };
}

/** A seed of its own gives a run its own order of the data, and its own first weights unless those are a checkpoint's. */
function seedOf({ init }: RunConfig, seed: number) {
  return { seed, ...("seed" in init && { init: { seed } }) };
}

/** What a config's run does. @throws ConfigError if a stage is shorter than a step */
export function lengthOf({ shape, availableTokens }: Common, config: RunConfig): RunLength {
  const stages = resolveStages(config, availableTokens, (step) => stepFlops(shape, step));
  const steps = stages.reduce((sum, stage) => sum + stage.steps, 0);
  const tokens = stages.reduce((sum, stage) => sum + stage.tokens, 0);
  const perStep = { stages, stepFlops: stages.map((stage) => stepFlops(shape, stage)) };
  return { ...perStep, steps, tokens, flops: flopsAt(perStep, steps) };
}

/** FLOPs of the first `step` steps of a run. */
export function flopsAt({ stages, stepFlops }: Pick<RunLength, "stages" | "stepFlops">, step: number): number {
  return stages.reduce((sum, { firstStep, steps }, index) => {
    return sum + Math.min(Math.max(step - firstStep, 0), steps) * stepFlops[index]!;
  }, 0);
}

/** Tokens of the longest sequence of any stage. */
export function longestBlock(stages: readonly Pick<ResolvedStage, "patchSize" | "sequenceLength">[]): number {
  return Math.max(...stages.map((stage) => stage.patchSize * stage.sequenceLength));
}

function countPartFlops(stages: readonly ResolvedStage[], shape: LlamaConfig): PartFlops {
  const flops = { embedding: 0, transformer: 0, head: 0 };
  for (const { steps, positionsPerStep, sequenceLength, patchSize } of stages) {
    const positions = steps * positionsPerStep;
    const { embedding, projections, attention, head } = forwardFlops(shape, sequenceLength, patchSize);
    flops.embedding += positions * embedding;
    flops.transformer += positions * (projections + attention);
    flops.head += positions * head;
  }
  return flops;
}
