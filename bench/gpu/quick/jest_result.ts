/** What jest found, as a step's result. */
import { existsSync, readFileSync } from "node:fs";

/** The part of jest's --json that is read. */
interface JestOutput {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly {
    readonly message: string;
    readonly name: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Names with the beginning of their messages; a file that could not be run is one of them. */
  readonly failures: readonly { readonly name: string; readonly message: string }[];
}

const keptFailures = 20;

/** Null if jest wrote no result: it was ended before. */
export function readJest(file: string): TestCounts | null {
  if (!existsSync(file)) return null;
  const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(
    readFileSync(file, "utf8"),
  ) as JestOutput;
  const failures = testResults.flatMap(({ name, message, assertionResults }) => {
    if (assertionResults.length === 0 && message !== "") return [{ name, message: beginning(message) }];
    return assertionResults
      .filter(({ status }) => status === "failed")
      .map(({ fullName, failureMessages }) => ({ name: fullName, message: beginning(failureMessages.join("\n")) }));
  });
  const counts = { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests };
  return { ...counts, failures: failures.slice(0, keptFailures) };
}

function beginning(message: string): string {
  // The colours of a terminal.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return message.replace(/\u001b\[\d*m/g, "").slice(0, 600);
}
