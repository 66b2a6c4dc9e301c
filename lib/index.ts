/** The public API of `nextpatch`. */
export { benchTrainStep, type TrainBenchOptions, type TrainBenchResult } from "./bench/train_step.js";
export type { Arm, ArmRun, PartFlops, RunLength } from "./compare/arm.js";
export { type CompareFiles, compare } from "./compare/compare.js";
export type { Method, StagedArm } from "./compare/methods.js";
export type { CompareOptions } from "./compare/options.js";
export type { Paired } from "./compare/paired.js";
export type { ComparisonPlan, PlanOptions } from "./compare/plan.js";
export type { CompareProgress } from "./compare/progress.js";
export type {
  Comparison,
  CostRatio,
  LossDifference,
  MethodResult,
  StagedResult,
  SweepResult,
} from "./compare/readings.js";
export type { CompareReport } from "./compare/report.js";
export type { ArmEvaluation, FinalLoss } from "./compare/run_evaluation.js";
export type { CurvePoint, RunResult, SeedResult } from "./compare/run_result.js";
export { ComparisonInterrupted } from "./compare/runner.js";
export { parseSweep, type Sweep } from "./compare/sweep.js";
export type { TuneResult, TuneResults } from "./compare/tune.js";
export { parseTune, type Tune } from "./compare/tune_grid.js";
export type { TunePoint } from "./compare/tune_search.js";
export {
  type BatchConfig,
  defineConfig,
  loadRunConfig,
  type OptimizerConfig,
  parseRunConfig,
  type RunConfig,
} from "./config/config.js";
export type { RunConfigInput, StageInput } from "./config/config_types.js";
export type { ModelInput } from "./config/model_input.js";
export type { RecipeName } from "./config/recipes.js";
export { learningRate, type Schedule, type ScheduleType } from "./config/schedule.js";
export { type CountFlops, type ResolvedStage, resolveStages } from "./config/stages.js";
export type { TokenizerTraining } from "./data/bpe.js";
export { type ShardPattern, TokenDataset } from "./data/dataset.js";
export type { ShardFormat } from "./data/format_names.js";
export { BlockLoader, type BlockLoaderOptions, type DataPosition, type WeightedDataset } from "./data/loader.js";
export type { DatasetIds, MemoryOptions } from "./data/memory_data.js";
export {
  type DatasetInfo,
  type MergeOptions,
  mergeParts,
  type PartInfo,
  type PartNumber,
  type PrepareOptions,
  type PrepareProgress,
  prepareDataset,
  preparePart,
} from "./data/prepare.js";
export type { Shard } from "./data/shard.js";
export type { GivenDocument, GivenDocuments } from "./data/sources/given.js";
export type { SplitName } from "./data/split_name.js";
export { Tokenizer, type TokenizerOptions } from "./data/tokenizer.js";
export { backends, Device, type DeviceSpec, type PrecisionSpec } from "./device.js";
export { CheckpointError, ConfigError, DataError, DeviceError, OutOfMemoryError } from "./errors.js";
export type { ChoiceScores, ContinuationScores, TaskScores } from "./evaluate/accuracy.js";
export { type ActivationOptions, type Activations, activations } from "./evaluate/activations.js";
export { type EmbedOptions, embed } from "./evaluate/embed.js";
export type { Shots } from "./evaluate/few_shot.js";
export type { ChoiceItem, ContextItem, ContinuationItem, ScoreItem } from "./evaluate/items.js";
export type { DataOptions } from "./evaluate/open_data.js";
export { type ConvertOptions, convertTask, type PublishedTask } from "./evaluate/published_tasks.js";
export type { TokenScores } from "./evaluate/request.js";
export { type ItemScores, type ScoreOptions, type ScoreResult, score } from "./evaluate/score.js";
export { type ScoreTextOptions, scoreText, type TextScores } from "./evaluate/score_text.js";
export { type EvaluateOptions, type EvaluationResult, evaluate } from "./evaluate.js";
export type { Generation } from "./generate/continuation.js";
export type { GenerateOptions } from "./generate/settings.js";
export { type GenerateTextsOptions, generateTexts } from "./generate/texts.js";
export { generate, streamText } from "./generate.js";
export { type ExportGgufOptions, exportGguf, type GgufDtype, type GgufExport } from "./gguf/export.js";
export type { GgmlType } from "./gguf/format.js";
export { parseLlamaConfig } from "./hf/config.js";
export { type ExportHfOptions, exportHf, type HfDtype, type HfExport } from "./hf/export.js";
export type {
  DynamicRopeScaling,
  LayerType,
  LinearRopeScaling,
  Llama3RopeScaling,
  LlamaConfig,
  LongRopeScaling,
  ModelType,
  RopeScaling,
  YarnRopeScaling,
} from "./hf/llama_config.js";
export type { Parameter } from "./hf/names.js";
export { type Preset, type PresetName, presets } from "./hf/presets.js";
export {
  type ArrayOf,
  type BackendName,
  type BackendReport,
  type DeviceReport,
  type DType,
  type Graph,
  type MemoryCounters,
  type NumbersOf,
  type Product,
  type SeenProduct,
  type TableProduct,
  Tensor,
} from "./native.js";
export { Decoder } from "./nn/decoder.js";
export { forwardFlops, type PositionFlops, stepFlops, trainingFlops } from "./nn/flops.js";
export type { ForwardOptions, ForwardResult } from "./nn/forward.js";
export { Llama, type Placement } from "./nn/llama.js";
export type { ModelFolderExtras } from "./nn/model_folder.js";
export type { ParameterLayout, Parameters, Slot } from "./nn/parameters.js";
export type { SamplingSettings } from "./nn/sampling.js";
export type { Batch } from "./nn/shape.js";
export type { TokenBatch, TokenIds } from "./nn/token_batch.js";
export { type TrainingBatch, TrainingPass, type TrainingRunOptions } from "./nn/training_pass.js";
export { AdamW, type AdamWSettings } from "./optim/adamw.js";
export type { OptimizerOptions } from "./optim/frozen.js";
export { Muon } from "./optim/muon.js";
export type { MuonRates, MuonSettings } from "./optim/muon_settings.js";
export { type EngineName, type EngineReport, engines, Ranks } from "./ranks.js";
export type { Environment } from "./report/environment.js";
export type { LoggedRun, Logger } from "./report/logger.js";
export type { MetricsLine, SlowestRank, TimeByPart } from "./report/metrics.js";
export type { RankPlace, RanksOfReport } from "./report/ranks_section.js";
export type { Report } from "./report/report.js";
export type { Sample } from "./report/run_facts.js";
export type { PlanItem } from "./train/memory_plan.js";
export type { TrainerProgress } from "./train/progress.js";
export type { StageCost } from "./train/stage_costs.js";
export { Trainer } from "./train/trainer.js";
export type { Evaluation, LearningRateAt, TrainerOptions } from "./train/trainer_options.js";
