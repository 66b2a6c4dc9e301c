import { limits } from "../limits.js";
import type { Device } from "../native.js";

/** What a step's time on the device is spent on, forward and backward together. */
export const deviceParts = ["embedding", "transformer", "head", "optimizer"] as const;
export type DevicePart = (typeof deviceParts)[number];

/** Seconds by part. */
export type PartSeconds = Record<DevicePart, number>;

/** Slots that a device has for timestamps; a step with more micro-batches than fit is not timed by part. */
const slots = limits.markSlots;

/**
 * Notes where a step's operations pass from one part of the model to the next. The marks are operations themselves,
 * captured and replayed with the rest, so that they tell the device's own time and cost next to nothing.
 */
export class StepClock {
  readonly #ends: DevicePart[] = [];

  constructor(private readonly device: Device) {
    device.mark(0);
  }

  /** Ends the time of `part`, which began with the mark before. */
  lap(part: DevicePart): void {
    this.#ends.push(part);
    if (this.#ends.length < slots) this.device.mark(this.#ends.length);
  }

  /** Waits for the step and tells its time by part; null where it had too many micro-batches to note. */
  async read(): Promise<PartSeconds | null> {
    if (this.#ends.length >= slots) return null;
    const times = await this.device.marks(this.#ends.length + 1);
    const seconds: PartSeconds = { embedding: 0, transformer: 0, head: 0, optimizer: 0 };
    this.#ends.forEach((part, index) => (seconds[part] += times[index + 1]! - times[index]!));
    return seconds;
  }
}
