/**
 * Run configs: their types, and what is computed from one. [config.md](../config.md) lists every key.
 *
 * @module config
 */
export {
  type BatchConfig,
  type CountFlops,
  type DynamicRopeScaling,
  defineConfig,
  type LayerType,
  type LinearRopeScaling,
  type Llama3RopeScaling,
  type LlamaConfig,
  type LongRopeScaling,
  learningRate,
  loadRunConfig,
  type ModelInput,
  type ModelType,
  type OptimizerConfig,
  type Preset,
  type PresetName,
  parseLlamaConfig,
  parseRunConfig,
  presets,
  type RecipeName,
  type ResolvedStage,
  type RopeScaling,
  type RunConfig,
  type RunConfigInput,
  resolveStages,
  type Schedule,
  type ScheduleType,
  type StageInput,
  type YarnRopeScaling,
} from "nextpatch";
