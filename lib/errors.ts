/**
 * The errors of nextpatch, and their contract.
 *
 * | what is wrong | class |
 * |---|---|
 * | an argument of a public function: its kind, a tensor's dtype or device, a disposed tensor | `TypeError` |
 * | an argument of a public function: its value, a tensor's shape | `RangeError` |
 * | a config, from a file or as a value; a flag of a command; a path for results that is taken | `ConfigError` |
 * | text, token shards, a tokenizer, metrics | `DataError` |
 * | a model folder, a checkpoint | `CheckpointError` |
 * | a device is missing, cannot be opened, or failed; the addon is missing | `DeviceError` |
 * | memory that cannot be allocated | `OutOfMemoryError` |
 *
 * The same fault gives the same class and the same message, whichever function detects it. The message is one line:
 *
 *     OPERATION: ARGUMENT: expected X but received Y      an argument
 *     PLACE: expected X but received Y                    everything else
 *
 * OPERATION is the public function that the caller called (`Tokenizer.decode`), never one that it calls in turn;
 * ARGUMENT is the argument's or the option's name (`ids`, `ids[3]`). `Arguments` (arguments.ts) creates these errors,
 * with both names as properties, by which a command finds the flag at fault. PLACE is a file, with the line, the tensor
 * or the key in it, or a config's key after the name of its file. A config with several problems has a line for each,
 * and the lines in `problems`. A missing addon has up to six lines, of which the last is what to type
 * (lib/native/problems.ts).
 *
 * If the operating system says why a path cannot be used, its reason ends the message, and its error is the `cause`.
 * Other file system errors, such as a full disk, are passed on unchanged.
 *
 * A message shows an input only in part: a line has at most 500 characters, of which the middle is left out, and of
 * several problems as many are shown as fit 2000.
 */

/** The most characters of a line of a message. */
const LINE = 500;

/** The most characters of a message of several lines, of which the first is always shown. */
const MESSAGE = 2000;

/** A message in its bounds. */
function bounded(message: string): string {
  if (message.length <= LINE) return message;
  const lines = message.split("\n", MESSAGE).map(boundedLine);
  let shown = 1;
  for (let length = lines[0]!.length; shown < lines.length; shown++) {
    length += lines[shown]!.length + 1;
    if (length > MESSAGE) break;
  }
  const more = lines.length - shown;
  const rest = more === 0 ? [] : [`… and ${lines.length === MESSAGE ? "many" : more} more`];
  return [...lines.slice(0, shown), ...rest].join("\n");
}

/** The beginning and the end say most. */
function boundedLine(line: string): string {
  return line.length <= LINE ? line : `${line.slice(0, LINE / 2)} … ${line.slice(3 - LINE / 2)}`;
}

/**
 * A configuration (file, flag or option) that cannot be run.
 *
 * @example
 * ```ts
 * import { ConfigError, parseRunConfig } from "nextpatch";
 *
 * try {
 *   parseRunConfig({ name: "mine", batches: {} });
 * } catch (error) {
 *   if (!(error instanceof ConfigError)) throw error;
 *   for (const problem of error.problems) console.log(problem);
 * }
 * ```
 */
export class ConfigError extends Error {
  override name = "ConfigError";
  /** All problems that were found, one line each. */
  readonly problems: readonly string[];
  constructor(message: string, options?: ErrorOptions & { problems?: readonly string[] }) {
    super(bounded(message), options);
    this.problems = (options?.problems ?? [message]).map(boundedLine);
  }
}

/**
 * Training data that is not in the expected format.
 *
 * @example
 * ```ts
 * import { DataError, TokenDataset } from "nextpatch";
 *
 * try {
 *   await TokenDataset.open("data/none/train_*.bin");
 * } catch (error) {
 *   if (!(error instanceof DataError)) throw error;
 *   console.log(error.message);
 * }
 * ```
 */
export class DataError extends Error {
  override name = "DataError";
  constructor(message: string, options?: ErrorOptions) {
    super(bounded(message), options);
  }
}

/**
 * A model folder or checkpoint that is missing, damaged, incomplete or of another architecture.
 *
 * @example
 * ```ts
 * import { CheckpointError, Llama } from "nextpatch";
 *
 * try {
 *   await Llama.load("runs/none/model");
 * } catch (error) {
 *   if (!(error instanceof CheckpointError)) throw error;
 *   console.log(error.message); // names the file, and says what was expected
 * }
 * ```
 */
export class CheckpointError extends Error {
  override name = "CheckpointError";
  constructor(message: string, options?: ErrorOptions) {
    super(bounded(message), options);
  }
}

/**
 * A device that is missing, could not be opened, or failed while it ran an operation.
 *
 * @example
 * ```ts
 * import { Device, DeviceError } from "nextpatch";
 *
 * try {
 *   console.log(Device.open("cuda:7").name);
 * } catch (error) {
 *   if (!(error instanceof DeviceError)) throw error;
 *   console.log(error.message);
 * }
 * ```
 */
export class DeviceError extends Error {
  override name = "DeviceError";
}

/**
 * A device without enough free memory for a request.
 *
 * @example
 * ```ts
 * import { Device, OutOfMemoryError, Tensor } from "nextpatch";
 *
 * try {
 *   new Tensor(Device.open("cpu"), "f32", [2 ** 20, 2 ** 20]);
 * } catch (error) {
 *   if (!(error instanceof OutOfMemoryError)) throw error;
 *   console.log(error.requestedBytes, error.freeBytes);
 * }
 * ```
 */
export class OutOfMemoryError extends Error {
  override name = "OutOfMemoryError";
  /** Bytes requested by the failed allocation. */
  readonly requestedBytes: number;
  /** Bytes that were free on the device at that moment. */
  readonly freeBytes: number;
  constructor(message: string, requestedBytes: number, freeBytes: number) {
    super(message);
    this.requestedBytes = requestedBytes;
    this.freeBytes = freeBytes;
  }
}

/**
 * What was found at a path, or in a text, is not to be read. Who knows what was expected makes a ConfigError, DataError or
 * CheckpointError of it.
 * @internal
 */
export class UnusableInput extends Error {
  override name = "UnusableInput";
  /** @param received what it is, for the end of a message */
  constructor(readonly received: string) {
    super(received);
  }
}

/**
 * Describes an unusable path, for the end of a message: `a file that does not exist`.
 * @param cause the file system's error
 * @param kind what the path should have been
 */
export function unusable(cause: unknown, kind: "file" | "folder" = "file"): string {
  if (cause instanceof UnusableInput) return cause.received;
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === "ENOENT") return `a ${kind} that does not exist`;
  if (code === "EISDIR") return "a folder";
  if (code === "ENOTDIR" && kind === "folder") return "a file";
  return `a ${kind} that cannot be used: ${message}`;
}
