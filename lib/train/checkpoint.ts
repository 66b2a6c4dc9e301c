/** Checkpoints: a Hugging Face folder with the trainer's state in `trainer/`. */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { recoverFolder, removeFolder, removeLeftovers, writeFolder, writeText } from "../disk/durable.js";
import { CheckpointError } from "../errors.js";
import { SafetensorsFile, writeSafetensors } from "../hf/safetensors.js";
import { type ModelFolderExtras, writeModelFolder } from "../nn/model_folder.js";
import { parameterEntries, Upload } from "../nn/parameter_transfer.js";
import type { Parameters, Slot } from "../nn/parameters.js";
import { type Optimizer, type OptimizerState, optimizerStates } from "../optim/optimizer.js";
import { statePath, type TrainerState } from "./trainer_state.js";

/** The files of `trainer/`: the master weights, and what the optimizer keeps. */
function trainerFiles(parameters: Parameters, optimizer: Optimizer): TrainerFile[] {
  const master = {
    name: "master",
    has: () => true,
    of: (slot: Slot) => parameters.flatView(parameters.master, slot),
  };
  return [master, ...optimizerStates(optimizer, parameters.layout)];
}

/** A file with a tensor for each of some parameters, under the parameter's name. */
type TrainerFile = Omit<OptimizerState, "name"> & { readonly name: string };

/** The folder name of a step's checkpoint. */
export function checkpointName(step: number): string {
  return `step-${String(step).padStart(8, "0")}`;
}

const namePattern = /^step-\d{8}$/;

/**
 * Writes `folder/<name>` and points `latest` (beside `folder`) to it. When both are on the disk, deletes all but the
 * newest `keep`.
 */
export async function writeCheckpoint(
  folder: string,
  parameters: Parameters,
  optimizer: Optimizer,
  state: TrainerState,
  extras: ModelFolderExtras,
  keep: number,
): Promise<void> {
  const name = checkpointName(state.step);
  await writeFolder(join(folder, name), async (aside) => {
    await writeModelFolder(aside, parameters, extras);
    await mkdir(join(aside, "trainer"));
    for (const { name, has, of } of trainerFiles(parameters, optimizer)) {
      const entries = parameterEntries(parameters, (slot) => (has(slot) ? of(slot) : null));
      await writeSafetensors(join(aside, "trainer", `${name}.safetensors`), entries);
    }
    await writeFile(statePath(aside), `${JSON.stringify(state, null, 2)}\n`, { flush: true });
  });
  await writeText(join(folder, "..", "latest"), `${name}\n`);
  const old = (await readdir(folder))
    .filter((entry) => namePattern.test(entry))
    .sort()
    .slice(0, -keep);
  for (const entry of old) await removeFolder(join(folder, entry));
  await removeLeftovers(folder, namePattern);
}

/**
 * The folder of a run's newest checkpoint, or null if it has none.
 * @throws CheckpointError if `latest` does not name a checkpoint, or names a missing one
 */
export async function latestCheckpoint(runFolder: string): Promise<string | null> {
  const pointer = join(runFolder, "latest");
  if (!existsSync(pointer)) return null;
  const name = (await readFile(pointer, "utf8")).trim();
  if (!namePattern.test(name)) {
    throw new CheckpointError(
      `${pointer}: expected a checkpoint's name, as ${checkpointName(500)} but received "${name}"`,
    );
  }
  const folder = join(runFolder, "checkpoints", name);
  await recoverFolder(folder);
  if (!existsSync(folder)) throw new CheckpointError(`${pointer}: names ${name}, but there is no folder ${folder}`);
  return folder;
}

/** Reads master weights and the optimizer's state back, bit for bit. @throws CheckpointError */
export async function loadTrainerTensors(
  checkpoint: string,
  parameters: Parameters,
  optimizer: Optimizer,
): Promise<void> {
  const upload = new Upload(parameters);
  for (const { name, has, of } of trainerFiles(parameters, optimizer)) {
    const file = await SafetensorsFile.open(join(checkpoint, "trainer", `${name}.safetensors`));
    try {
      for (const slot of parameters.layout.slots.filter(has)) {
        const info = file.info(slot.name);
        if (info.dtype !== "F32" || info.shape.join() !== slot.shape.join()) {
          throw new CheckpointError(
            `${file.path}: ${slot.name}: expected F32 [${slot.shape.join(", ")}] ` +
              `but received ${info.dtype} [${info.shape.join(", ")}]`,
          );
        }
        await upload.tensor(file, slot, "F32", of(slot));
      }
    } finally {
      await file.close();
    }
  }
  parameters.refreshCompute();
  await parameters.device.synchronize();
}
