/**
 * Losses on token shards, scores of tasks and texts, embeddings and active neurons.
 * [evaluation.md](../evaluation.md) has the rules.
 *
 * @module evaluate
 */
export {
  type ActivationOptions,
  type Activations,
  activations,
  type ChoiceItem,
  type ChoiceScores,
  type ContextItem,
  type ContinuationItem,
  type ContinuationScores,
  type ConvertOptions,
  convertTask,
  type DataOptions,
  type EmbedOptions,
  type EvaluateOptions,
  type EvaluationResult,
  embed,
  evaluate,
  type ItemScores,
  type PublishedTask,
  type ScoreItem,
  type ScoreOptions,
  type ScoreResult,
  type ScoreTextOptions,
  type Shots,
  score,
  scoreText,
  type TaskScores,
  type TextScores,
  type TokenScores,
} from "nextpatch";
