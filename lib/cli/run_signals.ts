/** What signals ask of training: to save, and to end or to go on. */
import type { RunConfig } from "../config/config.js";
import type { CliIo } from "./io.js";
import { onSignals } from "./signals.js";
import { seenUserSignals } from "./user_signals.js";

export class RunSignals {
  readonly #interrupt = new AbortController();
  readonly #stop: () => void;

  /**
   * Listens until `stop`.
   * @param save asks for a checkpoint of the current step
   */
  constructor({ checkpoint: { onSignal } }: Pick<RunConfig, "checkpoint">, io: CliIo, save: () => void) {
    const end = (signal: string): void => {
      io.log(`${signal}: finishing the step and saving a checkpoint (Ctrl-C ends at once)`);
      this.#interrupt.abort();
    };
    const warn = (signal: string): void => {
      if (onSignal === "end") end(signal);
      else {
        io.log(`${signal}: saving a checkpoint after this step`);
        save();
      }
    };
    this.#stop = onSignals({ end, warn });
    // One that came while the run was opened: there is nothing to save yet.
    const [early] = seenUserSignals;
    if (early !== undefined && onSignal === "end") end(early);
  }

  /** Aborts where a signal ends training. */
  get signal(): AbortSignal {
    return this.#interrupt.signal;
  }

  stop(): void {
    this.#stop();
  }
}
