import { DeviceError } from "../errors.js";
import type { MetricsLine } from "../report/metrics.js";

/** Updates in a row without a finite gradient after which a run fails. */
const mostInARow = 10;

/** A run whose loss has no gradient any more. */
export class TrainingDiverged extends DeviceError {}

/** Counts the updates that the optimizer skipped, and ends a run that never recovers. */
export class SkippedUpdates {
  #inARow = 0;

  constructor(private readonly log: (message: string) => void) {}

  /** @throws TrainingDiverged for the last of too many skipped updates in a row */
  check({ step, loss, gradNorm }: MetricsLine): void {
    if (Number.isFinite(gradNorm)) {
      this.#inARow = 0;
      return;
    }
    this.#inARow++;
    this.log(`step ${step}: loss ${loss}, gradient norm ${gradNorm}: the update was skipped`);
    if (this.#inARow < mostInARow) return;
    throw new TrainingDiverged(
      `training diverged: ${mostInARow} updates in a row had no finite gradient (last at step ${step}); ` +
        "go back to an earlier checkpoint with a lower learning rate",
    );
  }
}
