/**
 * Jest's results as they come, for bench/gpu.sh quick: a line of JSON on stdout for every file of tests (`TestFile` in
 * read.ts), and the messages of failures on stderr.
 */
import { relative } from "node:path";

/** Characters of a failure's message that the line has. */
const keptCharacters = 600;

// The colours of a terminal.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
const plain = (text) => text.replace(/\u001b\[\d*m/g, "");

export default class Reporter {
  onTestResult(_test, { testFilePath, testResults, testExecError, failureMessage }) {
    const having = (status) => testResults.filter((test) => test.status === status);
    const [passed, failed] = [having("passed"), having("failed")];
    const failures = failed.map(({ fullName, failureMessages }) => {
      return { name: fullName, message: failureMessages.join("\n") };
    });
    const file = relative(process.cwd(), testFilePath);
    // A file that could not be run has no tests; a process that has crashed leaves none.
    if (testExecError != null) failures.push({ name: file, message: failureMessage ?? testExecError.message });
    for (const { name, message } of failures) process.stderr.write(`${name}\n${plain(message)}\n`);
    const line = {
      file,
      passed: passed.length,
      skipped: testResults.length - passed.length - failed.length,
      failures: failures.map(({ name, message }) => ({ name, message: plain(message).slice(0, keptCharacters) })),
    };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}
