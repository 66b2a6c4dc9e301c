/**
 * What a step costs: its FLOPs by a formula, and its time measured.
 *
 * @module cost
 */
export {
  benchTrainStep,
  forwardFlops,
  type PositionFlops,
  stepFlops,
  type TrainBenchOptions,
  type TrainBenchResult,
  trainingFlops,
} from "nextpatch";
