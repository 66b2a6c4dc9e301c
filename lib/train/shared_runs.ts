/** Several runs one after another, by the same ranks: the first one decides which, the others take part. */
import { parseRunConfig, type RunConfig } from "../config/config.js";
import type { DeviceSpec } from "../device.js";
import { openRankDevice } from "../ranks/rank_device.js";
import { joinRanks } from "./join_ranks.js";
import type { RunRanks } from "./run_ranks.js";
import { Trainer } from "./trainer.js";

/** A run, as the first rank tells it to the others. */
interface SharedRun {
  readonly config: RunConfig;
  readonly resume: boolean;
}

export class SharedRuns {
  private constructor(private readonly ranks: RunRanks) {}

  /** @param config of any of the runs: all are on its device */
  static async join(config: RunConfig): Promise<SharedRuns> {
    return new SharedRuns(
      await joinRanks(config, openRankDevice(config.device as DeviceSpec, config.parallel.devices)),
    );
  }

  /** This rank's place among all. */
  get share(): RunRanks["share"] {
    return this.ranks.share;
  }

  /** Tells the others that the first rank is about to open a run. */
  async begin(config: RunConfig, resume: boolean): Promise<void> {
    await this.ranks.tell<SharedRun | null>({ config, resume });
  }

  /** Tells the others that there are no more. */
  async end(): Promise<void> {
    await this.ranks.tell<SharedRun | null>(null);
  }

  /**
   * Takes part in all runs that the first rank tells of, until it ends them.
   * @param signal asks the run that is being trained to stop, when it aborts
   */
  async takePart(signal: AbortSignal): Promise<void> {
    for (;;) {
      const run = await this.ranks.tell<SharedRun | null>(null);
      if (run === null) return;
      const trainer = await Trainer.open(parseRunConfig(run.config, "the first rank's config"), { resume: run.resume });
      const { device } = trainer.model;
      const stop = () => trainer.requestStop();
      if (signal.aborted) stop();
      signal.addEventListener("abort", stop);
      try {
        for await (const _ of trainer.run());
      } finally {
        signal.removeEventListener("abort", stop);
        await trainer.close();
        device.trim();
      }
    }
  }

  dispose(): void {
    this.ranks.dispose();
  }
}
