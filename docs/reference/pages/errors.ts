/**
 * The errors that functions throw, besides `TypeError` and `RangeError` for a wrong argument. Messages say what was
 * expected and what was received.
 *
 * @module errors
 */
export { CheckpointError, ConfigError, DataError, DeviceError, OutOfMemoryError } from "nextpatch";
