/**
 * The event files of a run: one for each time that it was begun or resumed. The name has the time, by which TensorBoard
 * orders them, and the step that it goes on from.
 */
import { open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { stepOf } from "./events.js";
import { readRecords } from "./records.js";

interface EventFile {
  readonly path: string;
  /** Seconds since 1970. */
  readonly time: number;
  readonly step: number;
}

const pattern = /^events\.out\.tfevents\.(\d{10})\.nextpatch\.(\d+)$/;

async function eventFiles(folder: string): Promise<EventFile[]> {
  const files = (await readdir(folder)).flatMap((name): EventFile[] => {
    const [, time, step] = pattern.exec(name) ?? [];
    return step === undefined ? [] : [{ path: join(folder, name), time: Number(time), step: Number(step) }];
  });
  return files.sort((a, b) => a.time - b.time);
}

/**
 * Cuts what a run's event files have of steps after one, or damaged: those steps are trained again.
 * @returns the path of the file that goes on from there
 */
export async function goOnFrom(folder: string, step: number): Promise<string> {
  const files = await eventFiles(folder);
  for (const file of files) {
    if (file.step >= step) await rm(file.path);
    else await cut(file.path, step);
  }
  const time = Math.max(Math.floor(Date.now() / 1000), (files.at(-1)?.time ?? 0) + 1);
  return join(folder, `events.out.tfevents.${String(time).padStart(10, "0")}.nextpatch.${step}`);
}

/** Cuts a file where a step after this one begins, or damage. */
async function cut(path: string, step: number): Promise<void> {
  const file = await open(path, "r+");
  try {
    const records = readRecords(file);
    for (;;) {
      const { done, value } = await records.next();
      if (!done && stepOf(value.data) <= step) continue;
      await file.truncate(done ? value : value.at);
      await file.sync();
      return;
    }
  } finally {
    await file.close();
  }
}
