/** The loggers of a run: one that fails is told of and called no more. */
import type { LoggedRun, Logger } from "../report/logger.js";
import type { MetricsLine } from "../report/metrics.js";

export class RunLoggers {
  #loggers: readonly Logger[];

  constructor(
    loggers: readonly Logger[],
    private readonly log: (message: string) => void,
  ) {
    this.#loggers = loggers;
  }

  begin(run: LoggedRun): Promise<void> {
    return this.#all((logger) => logger.begin?.(run));
  }

  step(line: MetricsLine): Promise<void> {
    return this.#all((logger) => logger.step(line));
  }

  end(): Promise<void> {
    return this.#all((logger) => logger.end?.());
  }

  async #all(call: (logger: Logger) => void | Promise<void>): Promise<void> {
    for (const logger of this.#loggers) {
      try {
        await call(logger);
      } catch (error) {
        this.#loggers = this.#loggers.filter((each) => each !== logger);
        this.log(
          `logger ${logger.name}: failed, and is told nothing more: ${(error as Error | null)?.message ?? error}`,
        );
      }
    }
  }
}
