/**
 * The lines of a metrics file, read in pieces: a run may write gigabytes of them. Its bytes are taken for Latin-1, so that
 * a character is a byte; what is not ASCII is no metrics line.
 */
import type { FileHandle } from "node:fs/promises";
import { readFully } from "../disk/read_fully.js";
import { openFile } from "../disk/read_text.js";

/** A line of a file, without its line break. */
export interface FileLine {
  readonly text: string;
  /** Its first byte in the file. */
  readonly at: number;
}

const PIECE = 2 ** 20;

/** Characters of a line that are kept: a metrics line has fewer, and damage may have no line break for gigabytes. */
const LONGEST = 2 ** 16;

/**
 * Reads the lines between two bytes, of which the first begins a line. What follows the last line break is left out.
 * @returns some lines at a time, in order
 */
export async function* readLines(path: string, from: number, to: number): AsyncGenerator<FileLine[]> {
  const file = await openFile(path);
  try {
    const piece = Buffer.allocUnsafe(PIECE);
    let begun = "";
    let begunAt = from;
    for (let at = from; at < to; ) {
      const read = await readFully(file, piece.subarray(0, Math.min(PIECE, to - at)), at);
      if (read === 0) return;
      const parts = piece.toString("latin1", 0, read).split("\n");
      const lines: FileLine[] = [];
      let lineAt = at;
      for (const part of parts.slice(0, -1)) {
        lines.push(lineAt === at ? { text: begun + part, at: begunAt } : { text: part, at: lineAt });
        lineAt += part.length + 1;
      }
      if (lines.length > 0) [begun, begunAt] = ["", lineAt];
      begun = (begun + parts.at(-1)!).slice(0, LONGEST);
      at += read;
      yield lines;
    }
  } finally {
    await file.close();
  }
}

/**
 * The last complete line before a byte.
 * @returns null if there is none
 */
export async function lastLine(file: FileHandle, to: number): Promise<FileLine | null> {
  const from = Math.max(0, to - LONGEST);
  const bytes = Buffer.allocUnsafe(to - from);
  const text = bytes.toString("latin1", 0, await readFully(file, bytes, from));
  const end = text.lastIndexOf("\n");
  if (end < 0) return null;
  const begin = end === 0 ? 0 : text.lastIndexOf("\n", end - 1) + 1;
  return { text: text.slice(begin, end), at: from + begin };
}
