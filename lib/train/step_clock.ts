import { limits } from "../limits.js";
import type { Device } from "../native.js";

/** The parts of a step's time on the device, forward and backward together; `communication`: waiting for other ranks. */
type DevicePart = "embedding" | "transformer" | "head" | "optimizer" | "communication";

/** Seconds by part. */
export type PartSeconds = Record<DevicePart, number>;

/** A device's slots for timestamps; a step with more micro-batches than fit is not timed by part. */
const slots = limits.markSlots;

/**
 * Records timestamps where a step's operations pass from one part of the model to the next. The marks are operations,
 * captured and replayed with the rest, so they measure the device's time and cost almost nothing.
 */
export class StepClock {
  readonly #ends: DevicePart[] = [];

  constructor(private readonly device: Device) {
    device.mark(0);
  }

  /** Ends the time of `part`, which began at the previous mark. */
  lap(part: DevicePart): void {
    this.#ends.push(part);
    if (this.#ends.length < slots) this.device.mark(this.#ends.length);
  }

  /** Waits for the step and returns its time by part; null if it had too many micro-batches for the slots. */
  async read(): Promise<PartSeconds | null> {
    if (this.#ends.length >= slots) return null;
    const times = await this.device.marks(this.#ends.length + 1);
    const seconds: PartSeconds = { embedding: 0, transformer: 0, head: 0, optimizer: 0, communication: 0 };
    this.#ends.forEach((part, index) => (seconds[part] += times[index + 1]! - times[index]!));
    return seconds;
  }
}
