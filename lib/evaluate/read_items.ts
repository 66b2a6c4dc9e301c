import { basename } from "node:path";
import { DataError } from "../errors.js";
import { checkForms } from "./few_shot.js";
import { problemOf, type ScoreItem } from "./items.js";
import { readJsonlRecords } from "./records.js";

/** Items of a file, and where each is. */
export interface ReadItems {
  readonly items: readonly ScoreItem[];
  /** The file and the line of an item. */
  readonly nameOf: (index: number) => string;
}

/**
 * Reads the items of several files, each of its own task, or of one with its file's name.
 * @throws DataError as `readItems`, and if a task has items of different forms
 */
export async function readTasks(files: readonly string[]): Promise<ReadItems> {
  const all = await Promise.all(files.map((file) => readItems(file, true)));
  const items = all.flatMap((each) => each.items);
  const places = all.flatMap((each) => each.items.map((_, index) => each.nameOf(index)));
  const nameOf = (index: number): string => places[index]!;
  checkForms(items, "items", nameOf);
  return { items, nameOf };
}

/**
 * Reads items from JSONL.
 * @param withTask whether an item without a task gets the file's name, without its extension
 * @throws DataError naming the file, the line and the key of what is no item
 */
export async function readItems(file: string, withTask: boolean): Promise<ReadItems> {
  const task = basename(file).replace(/\.(jsonl|ndjson|json)\b.*$/i, "");
  const items: ScoreItem[] = [];
  const places: string[] = [];
  for await (const { value, where } of readJsonlRecords(file)) {
    const problem = problemOf(value);
    if (problem !== null) {
      const { key, expected, received } = problem;
      throw new DataError(`${where}: ${key && `${key}: `}expected ${expected} but received ${received}`);
    }
    const item = value as ScoreItem;
    items.push(withTask && item.task === undefined ? { ...item, task } : item);
    places.push(where);
  }
  if (items.length === 0) throw new DataError(`${file}: expected at least one item but received none`);
  return { items, nameOf: (index) => places[index]! };
}
