/** Files that are read whole, or opened to be read at any place: never a pipe or a device, and never without a limit. */
import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { UnusableInput } from "../errors.js";
import { inBytes } from "./input_limits.js";

/** Bytes of a pipe that are read at a time. */
const PIECE = 2 ** 16;

/**
 * Opens a file to be read.
 * @throws Error of the file system; UnusableInput if it is something else: a pipe would be waited for without end
 */
export async function openFile(path: string): Promise<FileHandle> {
  // Without O_NONBLOCK, a pipe that nobody writes to would hold the call. For a file it means nothing.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const facts = await file.stat();
    if (facts.isFile()) return file;
    throw new UnusableInput(facts.isDirectory() ? "a folder" : "a pipe or a device");
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * The bytes of a file.
 * @param most its bytes at most
 * @throws as `openFile`, and UnusableInput for a longer file
 */
export async function readWhole(path: string, most: number): Promise<Buffer> {
  const file = await openFile(path);
  try {
    const { size } = await file.stat();
    if (size > most) throw tooLong(most, `${size} bytes`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** The same as text: UTF-8. */
export async function readText(path: string, most: number): Promise<string> {
  return (await readWhole(path, most)).toString("utf8");
}

/** The same of a file, or of a pipe that a shell made: `<(…)`, `/dev/stdin`. A pipe with a name may have no writer. */
export async function readTextOrPipe(path: string, most: number): Promise<string> {
  if (!/^\/(dev|proc)\//.test(path) || (await stat(path)).isFile()) return readText(path, most);
  const file = await open(path, "r");
  try {
    const parts: Buffer[] = [];
    for (let length = 0; ; ) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(PIECE), 0, PIECE, null);
      if (bytesRead === 0) return Buffer.concat(parts).toString("utf8");
      parts.push(buffer.subarray(0, bytesRead));
      length += bytesRead;
      if (length > most) throw tooLong(most, "more");
    }
  } finally {
    await file.close();
  }
}

function tooLong(most: number, received: string): UnusableInput {
  return new UnusableInput(`one that is too long: at most ${inBytes(most)} are read, and it has ${received}`);
}
