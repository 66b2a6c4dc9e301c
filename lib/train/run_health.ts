/** Watches a run's numbers: the guard, if it has one, and updates that are skipped. */
import type { RunConfig } from "../config/config.js";
import type { ResolvedStage } from "../config/stages.js";
import { Guard, type GuardLimits, type GuardState } from "./guard.js";
import { type RunCheckpoints, stepOf } from "./run_checkpoints.js";
import { noneSkipped, type SkippedState, SkippedUpdates, TrainingDiverged } from "./skipped_updates.js";
import type { StepResult } from "./stepper.js";

/** What a checkpoint keeps. */
export interface HealthState {
  readonly skipped: SkippedState;
  readonly guard: GuardState | null;
}

export class RunHealth {
  readonly #guard: Guard | null;
  readonly #skipped: SkippedUpdates;

  constructor(
    private readonly config: RunConfig,
    state: HealthState | null,
    private readonly checkpoints: RunCheckpoints,
    private readonly log: (message: string) => void,
  ) {
    this.#guard = config.guard === undefined ? null : new Guard(config.guard, state?.guard ?? null);
    this.#skipped = new SkippedUpdates(state?.skipped ?? noneSkipped);
  }

  get state(): HealthState {
    return { skipped: this.#skipped.state, guard: this.#guard?.state ?? null };
  }

  /** Updates that were skipped so far. */
  get skipped(): number {
    return this.#skipped.state.total;
  }

  /** The first skipped step of the trouble that the run is in: what is from before may be needed. Null: it is in none. */
  get firstOfTrouble(): number | null {
    return this.#skipped.state.first;
  }

  /** The guard's limits of the next step; null: the run has no guard. */
  get limits(): GuardLimits | null {
    return this.#guard?.limits ?? null;
  }

  /** To be called before a stage's first step. */
  beginStage(): void {
    this.#guard?.reset();
  }

  /** Notes a step. @param limits what `limits` was before it */
  note(step: number, { loss, gradNorm, skipped }: StepResult, limits: GuardLimits | null): void {
    this.#guard?.note(loss, gradNorm);
    this.#skipped.note(step, skipped);
    if (!skipped) return;
    const above =
      limits !== null && Number.isFinite(gradNorm) ? ` (the guard's limits: ${limits.loss}, ${limits.norm})` : "";
    this.log(`step ${step}: loss ${loss}, gradient norm ${gradNorm}${above}: the update was skipped`);
  }

  /** @throws TrainingDiverged if the run never recovers, with what to do */
  async check(step: number, stage: ResolvedStage): Promise<void> {
    if (!this.#skipped.diverged) return;
    const { inARow, first } = this.#skipped.state;
    throw new TrainingDiverged(
      `training diverged: ${inARow} updates in a row were skipped (last at step ${step}); ${await this.#advice(first!, stage)}`,
    );
  }

  async #advice(first: number, { index, optimizer }: ResolvedStage): Promise<string> {
    const own = this.config.stages[index]?.optimizer?.lr !== undefined;
    const key = own ? `stages[${index}].optimizer.lr` : "optimizer.lr";
    const set = `--set ${key}=${Number((optimizer.lr / 2).toPrecision(3))}`;
    const before = (await this.checkpoints.names()).filter((name) => stepOf(name) < first).at(-1);
    if (before === undefined) {
      return `there is no checkpoint from before step ${first}, the first of them: begin again with a lower learning rate (${set})`;
    }
    return (
      `go back to ${before}, the newest checkpoint from before step ${first}, the first of them, ` +
      `with a lower learning rate: --resume --from ${before} ${set}`
    );
  }
}
