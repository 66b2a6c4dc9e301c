/** What a fuzzer tries, and what must hold of every answer. */
import type fc from "fast-check";

/** A reader that is given almost valid inputs. */
export interface FuzzTarget {
  readonly name: string;
  /** Inputs, and the reader: it accepts one by returning, and refuses it by throwing. */
  readonly inputs: fc.Arbitrary<string | Uint8Array>;
  readonly read: (input: string | Uint8Array) => Promise<void>;
}

/** The errors of the package. */
const typed: ReadonlySet<string> = new Set([
  "ConfigError",
  "DataError",
  "CheckpointError",
  "DeviceError",
  "OutOfMemoryError",
]);

/** The longest message of a refusal: several problems are told together. */
const longestMessage = 2500;

/** The longest that one input may take, in milliseconds. */
const longest = 5000;

/** What Node says where a reader did not look. */
const unforeseen =
  /Cannot read prop|is not a function|is not iterable|Invalid (string|array|typed array) length|call stack|undefined/;

/** Gives an input to a reader; true: it was accepted. @throws Error if the answer is none that may be */
export async function hold({ read }: FuzzTarget, input: string | Uint8Array): Promise<boolean> {
  const begun = performance.now();
  let accepted = true;
  try {
    await read(input);
  } catch (error) {
    accepted = false;
    const { name, message, stack } = error as Error;
    if (!typed.has(name)) throw new Error(`expected one of the package's errors but received ${stack}`);
    if (message.length > longestMessage)
      throw new Error(`a message of ${message.length} characters: ${message.slice(0, 200)}`);
    if (unforeseen.test(message)) throw new Error(`a message that is not for users: ${message}`);
  }
  const took = performance.now() - begun;
  if (took > longest) throw new Error(`took ${Math.round(took)} ms`);
  return accepted;
}
