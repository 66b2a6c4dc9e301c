/** What a fuzzer tries, and what must hold of every answer. */
import type fc from "fast-check";

/** Something that is given almost valid inputs. */
export interface FuzzTarget {
  readonly name: string;
  readonly inputs: fc.Arbitrary<unknown>;
  /** It accepts an input by returning, and refuses it by throwing. */
  readonly take: (input: unknown) => Promise<unknown>;
  /** Names of the errors that it may refuse with. */
  readonly refusals: ReadonlySet<string>;
}

/** @param also names of errors besides the package's own */
export function fuzzTarget<T>(
  name: string,
  inputs: fc.Arbitrary<T>,
  take: (input: T) => Promise<unknown>,
  also: readonly string[] = [],
): FuzzTarget {
  return { name, inputs, take: (input) => take(input as T), refusals: new Set([...typed, ...also]) };
}

/** The errors of the package. */
const typed = ["ConfigError", "DataError", "CheckpointError", "DeviceError", "OutOfMemoryError"] as const;

/** The longest message of a refusal: several problems are told together. */
const longestMessage = 2500;

/** The longest that one input may take, in milliseconds. */
const longest = 5000;

/** What Node says where a reader did not look. */
const unforeseen =
  /Cannot read prop|is not a function|is not iterable|Invalid (string|array|typed array) length|call stack|of undefined|of null/;

/** Gives an input to a target; true: it was accepted. @throws Error if the answer is none that may be */
export async function hold({ take, refusals }: FuzzTarget, input: unknown): Promise<boolean> {
  const begun = performance.now();
  let accepted = true;
  try {
    await take(input);
  } catch (error) {
    accepted = false;
    const { name, message, stack } = error as Error;
    if (!refusals.has(name)) throw new Error(`expected one of the package's errors but received ${stack}`);
    if (message.length > longestMessage)
      throw new Error(`a message of ${message.length} characters: ${message.slice(0, 200)}`);
    if (unforeseen.test(message)) throw new Error(`a message that is not for users: ${message}`);
  }
  const took = performance.now() - begun;
  if (took > longest) throw new Error(`took ${Math.round(took)} ms`);
  return accepted;
}
