/**
 * The guard against outliers: a step whose loss, or gradient norm, lies far above those of the steps before does not
 * change the model. The limits follow from the mean and the standard deviation of the last steps, skipped ones included:
 * where the loss has risen for good, they follow.
 */
import { z } from "zod";
import type { RunConfig } from "../config/config.js";

const values = z.array(z.number());

export const guardSchema = z.object({ losses: values, norms: values });

/** What a checkpoint keeps of a guard: the last losses and norms, the oldest first. */
export type GuardState = Readonly<z.output<typeof guardSchema>>;

/** The largest loss and the largest gradient norm of a step that changes the model; f32 numbers. */
export interface GuardLimits {
  readonly loss: number;
  readonly norm: number;
}

export class Guard {
  #losses: number[];
  #norms: number[];

  constructor(
    private readonly config: NonNullable<RunConfig["guard"]>,
    state: GuardState | null,
  ) {
    this.#losses = state?.losses.slice() ?? [];
    this.#norms = state?.norms.slice() ?? [];
  }

  get state(): GuardState {
    return { losses: this.#losses.slice(), norms: this.#norms.slice() };
  }

  /** The limits of the next step; without as many steps as the window has, there are none. */
  get limits(): GuardLimits {
    const { loss, gradNorm } = this.config;
    return { loss: this.#limit(this.#losses, loss), norm: this.#limit(this.#norms, gradNorm) };
  }

  #limit(last: readonly number[], deviations: number | undefined): number {
    const count = this.config.window;
    if (deviations === undefined || last.length < count) return Number.POSITIVE_INFINITY;
    const mean = last.reduce((sum, value) => sum + value, 0) / count;
    const variance = last.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
    return Math.fround(mean + deviations * Math.sqrt(variance));
  }

  /** Notes the loss and the norm of a step. */
  note(loss: number, norm: number): void {
    this.#losses = this.#with(this.#losses, loss);
    this.#norms = this.#with(this.#norms, norm);
  }

  #with(last: readonly number[], value: number): number[] {
    return Number.isFinite(value) ? [...last, value].slice(-this.config.window) : [...last];
  }

  /** Forgets all steps: another stage has other losses. */
  reset(): void {
    this.#losses = [];
    this.#norms = [];
  }
}
