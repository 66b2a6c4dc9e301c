/**
 * The parts of a training loop of your own: forward and backward, and the optimizers.
 * [optimizers.md](../optimizers.md) says what they compute.
 *
 * @module loop
 */
export {
  AdamW,
  type AdamWSettings,
  type Batch,
  Muon,
  type MuonRates,
  type MuonSettings,
  type OptimizerOptions,
  type TrainingBatch,
  TrainingPass,
  type TrainingRunOptions,
} from "nextpatch";
