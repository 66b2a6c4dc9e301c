import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { createInterface } from "node:readline";
import { DataError, unusable } from "../errors.js";
import { problemOf, type ScoreItem } from "./items.js";

/** Items of a file, and where each stands. */
export interface ReadItems {
  readonly items: readonly ScoreItem[];
  /** The file and the line of an item. */
  readonly nameOf: (index: number) => string;
}

/**
 * Reads items from JSONL; lines of white space are passed over.
 * @param withTask whether an item without a task gets the file's name, without its extension
 * @throws DataError naming the file, the line and the key of what is no item
 */
export async function readItems(file: string, withTask: boolean): Promise<ReadItems> {
  const task = basename(file).replace(/\.\w+$/, "");
  const items: ScoreItem[] = [];
  const lines: number[] = [];
  let line = 0;
  try {
    const input = createReadStream(file, "utf8");
    for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      line++;
      if (text.trim() === "") continue;
      const item = parse(text, `${file}:${line}`);
      items.push(withTask && item.task === undefined ? { ...item, task } : item);
      lines.push(line);
    }
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(`${file}: expected JSONL but received ${unusable(cause)}`, { cause });
  }
  if (items.length === 0) throw new DataError(`${file}: expected at least one item but received none`);
  return { items, nameOf: (index) => `${file}:${lines[index]}` };
}

function parse(text: string, where: string): ScoreItem {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DataError(`${where}: expected JSON but received other text: ${(cause as Error).message}`, { cause });
  }
  const problem = problemOf(value);
  if (problem === null) return value as ScoreItem;
  const { key, expected, received } = problem;
  throw new DataError(`${where}: ${key && `${key}: `}expected ${expected} but received ${received}`);
}
