/** What is told of the messages of ranks and of the program that starts them. */
import { Readable } from "node:stream";
import { expect, it } from "@jest/globals";
import { passMessages } from "../../lib/cli/launcher_messages.js";

const frame = "-".repeat(74);
const killed = `${frame}\nmpirun noticed that process rank 1 with PID 7 on node vm exited on signal 9 (Killed).\n${frame}\n`;
const failed = `${frame}\nmpirun: process exited with non-zero status\n${frame}\n`;
const missed = "nextpatch: rank 1 on vm was lost: its connection was closed; so all ranks end";

async function told(text: string): Promise<string[]> {
  const lines: string[] = [];
  await passMessages(Readable.from([text]), (line) => lines.push(line));
  return lines;
}

it("tells of a lost rank once: as its launcher does, which knows more, else as the rank that misses it", async () => {
  const line = "nextpatch: rank 1 on vm was ended by signal 9 (Killed); so all have ended";
  expect(await told(`a\n${missed}\n${killed}b\n`)).toEqual(["a", line, "b"]);
  expect(await told(`a\n${killed}${missed}\n`)).toEqual(["a", line]);
  expect(await told(`${missed}\n${failed}b\n`)).toEqual(["b", missed]);
  expect(await told(missed)).toEqual([missed]);
});
