import type { Part } from "./sharding.js";

/** A part of a pass that its time is told of. */
export type TimedPart = "embedding" | "transformer" | "head";

/** Told of a training pass's operations as they are enqueued. */
export interface Watch {
  /** The operations of a part, of its forward or its backward, have been enqueued. */
  lap(part: TimedPart): void;
  /** The forward is about to read the weights of a part. */
  reads(part: Part): void;
  /** The gradients of a part are about to be written, or added to. */
  begins(part: Part): void;
  /** They are complete. */
  completes(part: Part): void;
}

const nothing = () => undefined;

export const unwatched: Watch = { lap: nothing, reads: nothing, begins: nothing, completes: nothing };
