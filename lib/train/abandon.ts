/** What a run did after a checkpoint that it goes on from once more: moved to `abandoned/`, in folders 0001, 0002, … */
import { existsSync } from "node:fs";
import { readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder, syncFolder, writeText } from "../disk/durable.js";
import { checkpointName } from "./checkpoint.js";
import { metricsAfter } from "./metrics_tail.js";
import { stepOf } from "./run_checkpoints.js";
import type { RunFolder } from "./run_folder.js";
import type { TrainerState } from "./trainer_state.js";

/**
 * Moves everything of a run that is from after a checkpoint: its checkpoints, its model, its metrics. First it points `latest`
 * to it. Where it is interrupted, the same call does the rest: as long as a later checkpoint stands in
 * its place, the metrics do, too.
 * @param note written beside it, as JSON
 * @returns the folder; null: there was nothing to move
 */
export async function abandonAfter(
  folder: RunFolder,
  { step, metricsBytes }: Pick<TrainerState, "step" | "metricsBytes">,
  note: object,
): Promise<string | null> {
  const { checkpoints } = folder;
  const later = (await checkpoints.names()).filter((name) => stepOf(name) > step);
  const metrics = await metricsAfter(folder.metrics, step, metricsBytes);
  await checkpoints.point(checkpointName(step));
  if (later.length === 0 && metrics === null && !existsSync(folder.model)) return null;
  const target = await nextFolder(join(folder.path, "abandoned"));
  await writeText(join(target, "note.json"), `${JSON.stringify(note, null, 2)}\n`);
  if (later.length > 0) await makeFolder(join(target, "checkpoints"));
  if (existsSync(folder.model)) await move(folder.model, join(target, "model"));
  for (const name of later.toReversed()) await move(checkpoints.path(name), join(target, "checkpoints", name));
  await syncFolder(checkpoints.folder);
  await syncFolder(folder.path);
  await metrics?.moveTo(join(target, "metrics.jsonl"));
  return target;
}

async function move(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncFolder(join(to, ".."));
}

async function nextFolder(parent: string): Promise<string> {
  await makeFolder(parent);
  const numbers = (await readdir(parent)).map(Number).filter(Number.isSafeInteger);
  const target = join(parent, String(Math.max(0, ...numbers) + 1).padStart(4, "0"));
  await makeFolder(target);
  return target;
}
