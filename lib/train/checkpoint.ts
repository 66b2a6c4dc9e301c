/**
 * Checkpoints: a Hugging Face folder with the trainer's state in `trainer/`. Written aside, synced, renamed: a reader
 * finds an old checkpoint or a new one, never a half.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { RunConfig } from "../config/config.js";
import type { DataPosition } from "../data/loader.js";
import { CheckpointError } from "../errors.js";
import { parameterEntries, writeModelFolder, type ModelFolderExtras } from "../hf/model-folder.js";
import { SafetensorsFile, writeSafetensors } from "../hf/safetensors.js";
import type { Tensor } from "../native.js";
import type { Parameters } from "../nn/parameters.js";
import type { AdamW } from "../optim/adamw.js";
import type { TimeByPart } from "../report/metrics.js";

/** What `trainer/state.json` holds. */
export interface TrainerState {
  /** Steps done in the run. */
  readonly step: number;
  /** The stage of the last step. */
  readonly stage: number;
  readonly tokens: number;
  readonly positions: number;
  readonly flops: number;
  readonly seconds: number;
  readonly time: TimeByPart;
  /** Joules, where the device counts them. */
  readonly energy: number | null;
  /** Where the next batch is read. */
  readonly data: DataPosition;
  /** Steps the optimizer has taken since its state was fresh. */
  readonly optimizerSteps: number;
  /** The seed that, with the data position, is all the random state there is. */
  readonly seed: number;
  readonly configHash: string;
}

/** Keys of a config that may change between a run and its continuation: they do not change what is computed. */
const free: ReadonlySet<string> = new Set(["name", "out", "checkpoint", "eval", "device"]);

/** A hash over the part of a config that decides what a run computes. */
export function configHash(config: RunConfig): string {
  const kept = Object.entries(config).filter(([key]) => !free.has(key));
  return createHash("sha256").update(JSON.stringify(kept)).digest("hex");
}

/** The keys in which two configs differ and a continuation must not. */
export function changedKeys(before: Record<string, unknown>, now: RunConfig): string[] {
  const text = (value: unknown) => JSON.stringify(value) ?? "undefined";
  return Object.entries(now)
    .filter(([key, value]) => !free.has(key) && text(before[key]) !== text(value))
    .map(([key]) => key);
}

const flatFiles = ["master", "exp_avg", "exp_avg_sq"] as const;

function flatTensors(parameters: Parameters, optimizer: AdamW): Record<(typeof flatFiles)[number], Tensor<"f32">> {
  return { master: parameters.master, exp_avg: optimizer.firstMoment, exp_avg_sq: optimizer.secondMoment };
}

/** The folder name of a step's checkpoint. */
export function checkpointName(step: number): string {
  return `step-${String(step).padStart(8, "0")}`;
}

/** Writes `folder/<name>` and points `latest` (beside `folder`) at it; then deletes all but the newest `keep`. */
export async function writeCheckpoint(
  folder: string,
  parameters: Parameters,
  optimizer: AdamW,
  state: TrainerState,
  extras: ModelFolderExtras,
  keep: number,
): Promise<void> {
  const name = checkpointName(state.step);
  const aside = join(folder, `.${name}.part`);
  await rm(aside, { recursive: true, force: true });
  await writeModelFolder(aside, parameters, extras);
  await mkdir(join(aside, "trainer"));
  for (const [file, flat] of Object.entries(flatTensors(parameters, optimizer))) {
    await writeSafetensors(join(aside, "trainer", `${file}.safetensors`), parameterEntries(parameters, flat));
  }
  await writeFile(join(aside, "trainer", "state.json"), `${JSON.stringify(state, null, 2)}\n`, { flush: true });
  await syncFolder(join(aside, "trainer"));
  await replaceFolder(aside, join(folder, name));
  await writeText(join(folder, "..", "latest"), `${name}\n`);
  const old = (await readdir(folder)).filter((entry) => /^step-\d{8}$/.test(entry)).sort().slice(0, -keep);
  for (const entry of old) await rm(join(folder, entry), { recursive: true, force: true });
}

/** Puts a finished folder in its place. What stood there before is whole until it is moved out of the way. */
export async function replaceFolder(aside: string, target: string): Promise<void> {
  await syncFolder(aside);
  const old = `${aside}.old`;
  await rm(old, { recursive: true, force: true });
  if (existsSync(target)) await rename(target, old);
  await rename(aside, target);
  await syncFolder(join(target, ".."));
  await rm(old, { recursive: true, force: true });
}

/** Replaces a small text file in one step. */
export async function writeText(path: string, text: string): Promise<void> {
  await writeFile(`${path}.part`, text, { flush: true });
  await rename(`${path}.part`, path);
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, "r");
  await handle.sync();
  await handle.close();
}

/** The newest checkpoint's folder of a run, or null where it has none. */
export async function latestCheckpoint(runFolder: string): Promise<string | null> {
  const pointer = join(runFolder, "latest");
  if (!existsSync(pointer)) return null;
  const name = (await readFile(pointer, "utf8")).trim();
  const folder = join(runFolder, "checkpoints", name);
  if (!existsSync(folder)) throw new CheckpointError(`${pointer}: names ${name}, but there is no folder ${folder}`);
  return folder;
}

/** Reads `trainer/state.json`. @throws CheckpointError */
export async function readTrainerState(checkpoint: string): Promise<TrainerState> {
  const path = join(checkpoint, "trainer", "state.json");
  let state: Partial<TrainerState>;
  try {
    state = JSON.parse(await readFile(path, "utf8")) as Partial<TrainerState>;
  } catch (cause) {
    throw new CheckpointError(`${path}: cannot be read: ${(cause as Error).message}`, { cause });
  }
  for (const key of ["step", "stage", "tokens", "positions", "flops", "seconds", "optimizerSteps"] as const) {
    if (typeof state[key] === "number") continue;
    throw new CheckpointError(`${path}: ${key}: expected a number, found ${JSON.stringify(state[key]) ?? "nothing"}`);
  }
  return state as TrainerState;
}

/** Reads master weights and moments back, bit for bit. @throws CheckpointError */
export async function loadTrainerTensors(checkpoint: string, parameters: Parameters, optimizer: AdamW): Promise<void> {
  for (const [name, flat] of Object.entries(flatTensors(parameters, optimizer))) {
    const file = await SafetensorsFile.open(join(checkpoint, "trainer", `${name}.safetensors`));
    try {
      for (const slot of parameters.layout.slots) {
        const info = file.info(slot.name);
        if (info.dtype !== "F32" || info.shape.join() !== slot.shape.join()) {
          throw new CheckpointError(
            `${file.path}: ${slot.name}: expected F32 [${slot.shape.join(", ")}], ` +
              `found ${info.dtype} [${info.shape.join(", ")}]`,
          );
        }
        const { buffer, byteOffset, byteLength } = await file.read(slot.name);
        parameters.view(flat, slot.name).write(new Float32Array(buffer, byteOffset, byteLength / 4));
      }
    } finally {
      await file.close();
    }
  }
  parameters.refreshCompute();
  await parameters.device.synchronize();
}
