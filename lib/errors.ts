/**
 * The errors nextpatch throws beside `TypeError` (kind, dtype, device) and `RangeError` (shape, value), which are those
 * of a wrong argument: their messages read `operation: argument: expected … but received …`, with both shapes where a
 * shape is wrong. Each class here names the thing at fault, what was expected and what came.
 */

/** A configuration (file, flag or option) that cannot be run. */
export class ConfigError extends Error {
  override name = "ConfigError";
  /** All problems that were found, one line each. */
  readonly problems: readonly string[];
  constructor(message: string, options?: ErrorOptions & { problems?: readonly string[] }) {
    super(message, options);
    this.problems = options?.problems ?? [message];
  }
}

/** Training data that cannot be read as what it claims to be. */
export class DataError extends Error {
  override name = "DataError";
}

/** A model folder or checkpoint that is missing, damaged, incomplete or of another architecture. */
export class CheckpointError extends Error {
  override name = "CheckpointError";
}

/** A device that is missing, could not be opened, or failed while it ran an operation. */
export class DeviceError extends Error {
  override name = "DeviceError";
}

/** A device without the memory that was asked for. */
export class OutOfMemoryError extends Error {
  override name = "OutOfMemoryError";
  /** Bytes asked for by the allocation that failed. */
  readonly requestedBytes: number;
  /** Bytes that were free on the device at that moment. */
  readonly freeBytes: number;
  constructor(message: string, requestedBytes: number, freeBytes: number) {
    super(message);
    this.requestedBytes = requestedBytes;
    this.freeBytes = freeBytes;
  }
}
