/**
 * A run from its config to its model folder, what it measures and what follows it.
 *
 * @module trainer
 */
export {
  type Environment,
  type Evaluation,
  type LearningRateAt,
  type LoggedRun,
  type Logger,
  type MetricsLine,
  type PlanItem,
  type RankPlace,
  type RanksOfReport,
  type Report,
  type Sample,
  type SlowestRank,
  type StageCost,
  type TimeByPart,
  Trainer,
  type TrainerOptions,
  type TrainerProgress,
} from "nextpatch";
