/** What signals ask of training: to save, and to end or to go on. */
import type { RunConfig } from "../config/config.js";
import { launchedRank } from "../ranks/place.js";
import type { CliIo } from "./io.js";
import { endText, isLost, onAsked } from "./launch_ranks.js";
import { onSignals } from "./signals.js";
import { seenUserSignals } from "./user_signals.js";

export class RunSignals {
  readonly #interrupt = new AbortController();
  readonly #stops: readonly (() => void)[];

  /**
   * Listens until `stop`.
   * @param save asks for a checkpoint of the current step
   */
  constructor({ checkpoint: { onSignal } }: Pick<RunConfig, "checkpoint">, io: CliIo, save: () => void) {
    const end = (signal: string): void => {
      if (isLost(signal)) process.kill(process.pid, "SIGKILL");
      io.log(endText(signal));
      this.#interrupt.abort();
    };
    // MPI's launchers end ranks a second after the signals that mean an end; one that they pass on has to mean it.
    const meansEnd = (signal: string) => onSignal === "end" || (signal === "SIGUSR1" && launchedRank() !== null);
    const warn = (signal: string): void => {
      if (meansEnd(signal)) end(signal);
      else {
        io.log(`${signal}: saving a checkpoint after this step`);
        save();
      }
    };
    const asked = {
      end: () => this.#interrupt.abort(),
      gone: () => end("the command that started the ranks has ended"),
      save,
    };
    this.#stops = [onSignals({ end, warn }), onAsked(asked)];
    // One that came while the run was opened: there is nothing to save yet.
    const early = [...seenUserSignals].find(meansEnd);
    if (early !== undefined) end(early);
  }

  /** Aborts where a signal ends training. */
  get signal(): AbortSignal {
    return this.#interrupt.signal;
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }
}
