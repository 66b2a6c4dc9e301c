/**
 * Saves the checkpoints of a run: takes a copy, and writes it while training goes on, one at a time. Where the host has no
 * memory for a copy, training waits while a checkpoint is written. Of several ranks the first one writes what it gathers
 * from all; the others take part in that.
 */
import type { RunConfig } from "../config/config.js";
import type { ModelFolderExtras } from "../nn/model_folder.js";
import type { Parameters } from "../nn/parameters.js";
import type { Optimizer } from "../optim/optimizer.js";
import type { MetricsLine } from "../report/metrics.js";
import { checkpointName, trainerEntries, writeCheckpoint } from "./checkpoint.js";
import { type FlatTensors, flatTensors, uncopied } from "./flat_tensors.js";
import type { RunCheckpoints } from "./run_checkpoints.js";
import { Snapshot, snapshotBytes } from "./snapshot.js";
import type { TrainerOptions } from "./trainer_options.js";
import type { TrainerState } from "./trainer_state.js";

type Best = TrainerState["best"];

/** What a saver saves, and where. */
export interface Saved {
  readonly checkpoints: RunCheckpoints;
  readonly parameters: Parameters;
  readonly optimizer: Optimizer;
  readonly extras: ModelFolderExtras;
  /** The record of the run's data; null: there is none. */
  readonly data: string | null;
  readonly config: RunConfig["checkpoint"];
  /** The best checkpoint so far that is there; null: there is none. */
  readonly best: Best;
  /** Whether this rank writes; if not, it only gives its part. */
  readonly writes: boolean;
  /** Called when a checkpoint is on the disk. */
  readonly onCheckpoint: TrainerOptions["onCheckpoint"];
}

/** The best checkpoint that a run knows of, if it keeps it and has it still; `best` beside the checkpoints names it. */
export async function keptBest(
  checkpoints: RunCheckpoints,
  { keepBest }: RunConfig["checkpoint"],
  best: Best,
): Promise<Best> {
  const kept = keepBest && best !== null && (await checkpoints.names()).includes(checkpointName(best.step));
  await checkpoints.pointToBest(kept ? checkpointName(best.step) : null);
  return kept ? best : null;
}

export class CheckpointSaver {
  readonly #tensors: FlatTensors;
  /** The checkpoint that is being written; never rejects. */
  #writing: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | null = null;
  /** Whether it has been thrown. */
  #told = false;
  /** When the last one was begun, in milliseconds. */
  #begun = performance.now();
  #best: Best;

  private constructor(
    private readonly saved: Saved,
    private readonly snapshot: Snapshot | null,
    /** Whether the rank that writes takes a copy first. */
    private readonly copies: boolean,
  ) {
    this.#tensors = flatTensors(saved.parameters, saved.optimizer);
    this.#best = saved.best;
  }

  /**
   * Takes the memory for the copy; if there is none, says so.
   * @param tell tells the ranks what the one that writes says
   */
  static async open(
    saved: Saved,
    log: (message: string) => void,
    tell: (copies: boolean) => Promise<boolean>,
  ): Promise<CheckpointSaver> {
    const tensors = flatTensors(saved.parameters, saved.optimizer);
    const snapshot = saved.writes ? Snapshot.allocate(tensors) : null;
    if (snapshot === null && saved.writes) {
      const size = `${(snapshotBytes(tensors) / 2 ** 30).toFixed(1)} GiB`;
      log(`training waits while a checkpoint is written: the host has no memory to spare for a copy of ${size}`);
    }
    return new CheckpointSaver(saved, snapshot, await tell(snapshot !== null));
  }

  /** Bytes of the host's memory that the copy takes; 0: there is none. */
  get copyBytes(): number {
    return this.snapshot === null ? 0 : snapshotBytes(this.#tensors);
  }

  /** Whether a checkpoint is due by the time since the last one. */
  get late(): boolean {
    const { everyMinutes } = this.saved.config;
    return everyMinutes !== undefined && performance.now() - this.#begun >= everyMinutes * 60_000;
  }

  /** Notes a step, and returns whether a checkpoint is due after it. */
  note({ step, valLoss }: MetricsLine): boolean {
    const { everySteps, keepBest } = this.saved.config;
    const isBest = keepBest && valLoss !== undefined && valLoss < (this.#best?.valLoss ?? Number.POSITIVE_INFINITY);
    if (isBest) this.#best = { step, valLoss };
    return isBest || step % everySteps === 0;
  }

  /**
   * Saves the run's state as it is now: when this resolves, training may go on. Waits for the checkpoint before.
   * @param sparedBefore checkpoints from before this step are not deleted; null: the old ones are
   * @throws what failed in writing that
   */
  async save(state: Omit<TrainerState, "best">, sparedBefore: number | null): Promise<void> {
    await this.settle();
    this.#begun = performance.now();
    await this.snapshot?.copy();
    const { writes, parameters } = this.saved;
    const writing = writes ? this.#write({ ...state, best: this.#best }, sparedBefore) : this.#give(parameters);
    this.#writing = writing.catch((error: unknown) => {
      this.#failure = { error };
    });
    if (!this.copies) await this.settle();
  }

  /** Gives this rank's parts to the one that writes, in the order in which that reads them. */
  async #give(parameters: Parameters): Promise<void> {
    const tensors = this.#tensors;
    if (this.copies) {
      for (const { flat } of Object.values(tensors.trainer))
        for (const range of tensors.rangesOf(flat)) tensors.whole(flat, range);
    } else {
      for (const { entries } of trainerEntries(parameters, uncopied(tensors)))
        for (const { data } of entries) for await (const _ of data());
    }
    await parameters.device.synchronize();
  }

  async #write(state: TrainerState, sparedBefore: number | null): Promise<void> {
    const { checkpoints, parameters, extras, data, config, onCheckpoint } = this.saved;
    await writeCheckpoint(
      checkpoints.folder,
      parameters,
      this.snapshot?.source ?? uncopied(this.#tensors),
      state,
      extras,
      data,
    );
    await checkpoints.point(checkpointName(state.step));
    const best = state.best && checkpointName(state.best.step);
    if (state.best?.step === state.step) await checkpoints.pointToBest(best);
    await checkpoints.prune(state.step, config.keep, { names: best === null ? [] : [best], before: sparedBefore });
    onCheckpoint?.({ step: state.step, path: checkpoints.path(checkpointName(state.step)) });
  }

  /** Whether writing a checkpoint has failed: then there is no use in another. */
  get failed(): boolean {
    return this.#failure !== null;
  }

  /** @throws what failed in writing a checkpoint */
  check(): void {
    if (this.#failure === null) return;
    this.#told = true;
    throw this.#failure.error;
  }

  /** Waits until the last checkpoint is on the disk. @throws what failed in writing it */
  async settle(): Promise<void> {
    await this.#writing;
    this.check();
  }

  /** Waits until the last checkpoint is on the disk. @throws what failed in writing it, unless that has been thrown */
  async close(): Promise<void> {
    await this.#writing;
    if (!this.#told) this.check();
  }
}
