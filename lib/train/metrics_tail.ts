/** The end of a metrics file, from a step on. */
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { naming } from "../disk/named_error.js";

/** The lines of a metrics file that are from after a step. */
export interface MetricsTail {
  /** Moves them to another file: when they are there, on the disk, they are cut off. */
  moveTo(path: string): Promise<void>;
}

/**
 * Finds the lines after a step; null: there are none.
 * @param bytes the length of the file up to there; null: unknown, so that it is read, piece by piece
 */
export async function metricsAfter(path: string, step: number, bytes: number | null): Promise<MetricsTail | null> {
  if (!existsSync(path)) return null;
  const begin = bytes ?? (await offsetAfter(path, step));
  if (begin === null || (await stat(path)).size <= begin) return null;
  return {
    async moveTo(target) {
      await naming(target, () => pipeline(createReadStream(path, { start: begin }), createWriteStream(target)));
      await synced(target, null);
      await synced(path, begin);
    },
  };
}

/** Syncs a file, cut to so many bytes, or as it is. */
async function synced(path: string, bytes: number | null): Promise<void> {
  const file = await open(path, "r+");
  try {
    if (bytes !== null) await naming(path, () => file.truncate(bytes));
    await naming(path, () => file.sync());
  } finally {
    await file.close();
  }
}

const NEWLINE = 10;

/** The most bytes of a line that are looked at: its step comes first. */
const HEAD = 64;

/** The offset of the first line after a step; null: there is none. What cannot be read belongs to the line before it. */
async function offsetAfter(path: string, step: number): Promise<number | null> {
  let read = 0; // bytes before the piece
  let line = 0; // where the line begins
  let head = "";
  const isAfter = (): boolean => Number(/^\{"step":(\d+),/.exec(head)?.[1]) > step;
  for await (const piece of createReadStream(path)) {
    const bytes = piece as Buffer;
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, from)) {
      head += bytes.toString("latin1", from, Math.min(end, from + HEAD));
      if (isAfter()) return line;
      from = end + 1;
      line = read + from;
      head = "";
    }
    head += bytes.toString("latin1", from, from + HEAD);
    read += bytes.length;
  }
  return isAfter() ? line : null;
}
