/** What a fuzzer tries, and what must hold of every answer. */
import type fc from "fast-check";

/** Something that is given almost valid inputs. */
export interface FuzzTarget {
  readonly name: string;
  readonly inputs: fc.Arbitrary<unknown>;
  /** It accepts an input by returning, and refuses it by throwing. */
  readonly take: (input: unknown) => Promise<unknown>;
  readonly refusals: Refusals;
}

/** What a target may refuse with, besides the errors of the package. */
export interface Refusals {
  /** TypeErrors and RangeErrors that say what was expected, and errors of the file system. Default false. */
  readonly ofArguments?: boolean;
  /** Names of other errors: those of the input itself. */
  readonly others?: readonly string[];
}

export function fuzzTarget<T>(
  name: string,
  inputs: fc.Arbitrary<T>,
  take: (input: T) => Promise<unknown>,
  refusals: Refusals = {},
): FuzzTarget {
  return { name, inputs, take: (input) => take(input as T), refusals };
}

/** The errors of the package. */
const typed = ["ConfigError", "DataError", "CheckpointError", "DeviceError", "OutOfMemoryError"];

/** The longest message of a refusal: several problems are told together. */
const longestMessage = 2500;

/** What Node says where a reader did not look. */
const unforeseen =
  /Cannot read prop|is not a function|is not iterable|Invalid (string|array|typed array) length|call stack|of undefined|of null/;

/**
 * Gives an input to a target; true: it was accepted.
 * @param longest milliseconds that it may take
 * @throws Error if the answer is none that may be
 */
export async function hold({ take, refusals }: FuzzTarget, input: unknown, longest: number): Promise<boolean> {
  const begun = performance.now();
  let accepted = true;
  try {
    await take(input);
  } catch (error) {
    accepted = false;
    const { message, stack } = error as Error;
    if (!isRefusal(error as Error, refusals)) {
      throw new Error(`expected one of the package's errors but received ${stack}`);
    }
    if (message.length > longestMessage)
      throw new Error(`a message of ${message.length} characters: ${message.slice(0, 200)}`);
    if (unforeseen.test(message)) throw new Error(`a message that is not for users: ${message}`);
  }
  const took = performance.now() - begun;
  if (took > longest) throw new Error(`took ${Math.round(took)} ms`);
  return accepted;
}

function isRefusal(error: Error, { ofArguments = false, others = [] }: Refusals): boolean {
  const { name, message, syscall } = error as NodeJS.ErrnoException;
  if (typed.includes(name) || others.includes(name)) return true;
  if (!ofArguments) return false;
  return name === "TypeError" || name === "RangeError"
    ? // Ids are read on the device. What a revoked proxy says is the argument's own, as what a getter throws.
      /: expected .+ but received |is outside the vocabulary of \d+$|a proxy that has been revoked$/s.test(message)
    : syscall !== undefined;
}
