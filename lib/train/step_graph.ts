import type { Device, Graph } from "../native.js";
import type { Lap } from "../nn/exchange.js";
import { StepClock } from "./step_clock.js";

/** Enqueues a step's operations, the same every time; `lap` marks the end of a part. */
type Enqueue = (lap: Lap) => void;

/**
 * The operations of a stage's steps: enqueued one by one the first time, so that libraries choose and load what they
 * need; then recorded once and launched as a graph.
 */
export class StepGraph {
  #warm = false;
  #recorded: { readonly graph: Graph; readonly clock: StepClock } | null = null;

  constructor(private readonly device: Device) {}

  /** Enqueues the operations. Returns the clock that has their times after they have run. */
  run(enqueue: Enqueue): StepClock {
    // docs/cuda.md describes the variable.
    if (this.#warm && process.env.NEXTPATCH_GRAPHS !== "0") {
      this.#recorded ??= this.#record(enqueue);
      this.#recorded.graph.launch();
      return this.#recorded.clock;
    }
    const clock = this.#enqueue(enqueue);
    this.#warm = true;
    return clock;
  }

  #record(enqueue: Enqueue): { graph: Graph; clock: StepClock } {
    this.device.beginCapture();
    let clock: StepClock;
    try {
      clock = this.#enqueue(enqueue);
    } catch (error) {
      this.device.endCapture().dispose();
      throw error;
    }
    return { graph: this.device.endCapture(), clock };
  }

  #enqueue(enqueue: Enqueue): StepClock {
    const clock = new StepClock(this.device);
    enqueue((part) => clock.lap(part));
    return clock;
  }

  dispose(): void {
    this.#recorded?.graph.dispose();
  }
}
