/** Updates that the optimizer skipped, and the trouble that several of them are. */
import { z } from "zod";
import { DeviceError } from "../errors.js";

/** Updates in a row that are skipped after which a run fails; as many in a row that are not end the trouble. */
const MOST_IN_A_ROW = 10;

/** A run that never recovers: its loss has no gradient any more, or its guard lets nothing pass. */
export class TrainingDiverged extends DeviceError {}

const count = z.int().min(0);

export const skippedSchema = z.object({
  /** All skipped updates of the run. */
  total: count,
  /** The first step of the trouble that the run is in; null: it is in none. */
  first: count.min(1).nullable(),
  /** Updates that were skipped in a row, up to the last step. */
  inARow: count,
  /** Updates that were not, since the last one that was. */
  since: count,
});

/** What a checkpoint keeps of the count. */
export type SkippedState = Readonly<z.output<typeof skippedSchema>>;

export const noneSkipped: SkippedState = { total: 0, first: null, inARow: 0, since: 0 };

/** Counts the updates that the optimizer skipped. */
export class SkippedUpdates {
  constructor(private current: SkippedState) {}

  get state(): SkippedState {
    return this.current;
  }

  /** Notes a step. */
  note(step: number, skipped: boolean): void {
    const { total, first, inARow, since } = this.current;
    if (skipped) {
      this.current = { total: total + 1, first: first ?? step, inARow: inARow + 1, since: 0 };
    } else if (since + 1 < MOST_IN_A_ROW && first !== null) {
      this.current = { total, first, inARow: 0, since: since + 1 };
    } else {
      this.current = { total, first: null, inARow: 0, since: 0 };
    }
  }

  /** Whether the run never recovers. */
  get diverged(): boolean {
    return this.current.inARow >= MOST_IN_A_ROW;
  }
}
