/** Checkpoints: a Hugging Face folder with the trainer's state in `trainer/`, and a manifest of all files. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFolder } from "../disk/durable.js";
import { ManifestWriter } from "../disk/manifest.js";
import { CheckpointError } from "../errors.js";
import { type SafetensorsEntry, SafetensorsFile, writeSafetensors } from "../hf/safetensors.js";
import { native } from "../native.js";
import { checkFinite } from "../nn/finite.js";
import { type ModelFolderExtras, writeModelFiles } from "../nn/model_folder.js";
import { parameterEntries, Upload } from "../nn/parameter_transfer.js";
import type { Parameters } from "../nn/parameters.js";
import type { Optimizer } from "../optim/optimizer.js";
import { type CheckpointSource, flatTensors } from "./flat_tensors.js";
import { DATA_COPY } from "./run_data.js";
import { STATE_FILE, type TrainerState } from "./trainer_state.js";

/** The folder name of a step's checkpoint. */
export function checkpointName(step: number): string {
  return `step-${String(step).padStart(8, "0")}`;
}

/** The names of checkpoints. */
export const namePattern = /^step-\d{8}$/;

/** The files in `trainer/`, in the order in which they are written, and what is in each. */
export function trainerEntries(
  parameters: Parameters,
  { trainer }: CheckpointSource,
): { readonly file: string; readonly entries: readonly SafetensorsEntry[] }[] {
  return Object.entries(trainer).map(([name, { flat, offset }]) => {
    return { file: `trainer/${name}.safetensors`, entries: parameterEntries(parameters, flat, offset) };
  });
}

/**
 * Writes the checkpoint `folder/<name>`.
 * @param source nothing changes it meanwhile
 * @param data the record of the run's data; null: there is none
 * @throws Error of the file system, which names the file; then nothing of it is left
 */
export async function writeCheckpoint(
  folder: string,
  parameters: Parameters,
  source: CheckpointSource,
  state: TrainerState,
  extras: ModelFolderExtras,
  data: string | null,
): Promise<void> {
  await writeFolder(join(folder, checkpointName(state.step)), async (aside) => {
    for (const part of [aside, join(aside, "trainer")]) await mkdir(part);
    const manifest = new ManifestWriter(aside);
    const { config, dtype } = parameters;
    await writeModelFiles(manifest, { config, dtype, weights: parameterEntries(parameters, source.compute) }, extras);
    for (const { file, entries } of trainerEntries(parameters, source)) {
      manifest.note(file, await writeSafetensors(join(aside, file), entries));
    }
    if (data !== null) await manifest.write(DATA_COPY, data);
    await manifest.write(STATE_FILE, `${JSON.stringify(state, null, 2)}\n`);
    await manifest.finish();
  });
}

/**
 * Reads what training goes on from back into a run's tensors, bit for bit. A rank of several reads all, and keeps its
 * parts: the checkpoint may be of another number of ranks.
 * @throws CheckpointError
 */
export async function loadTrainerTensors(
  checkpoint: string,
  parameters: Parameters,
  optimizer: Optimizer,
): Promise<void> {
  const upload = new Upload(parameters);
  const { compute, sharding } = parameters;
  const { trainer, sizeOf } = flatTensors(parameters, optimizer);
  for (const [name, { flat: kept, offset }] of Object.entries(trainer)) {
    const isPart = kept.size < sizeOf(kept);
    const file = await SafetensorsFile.open(join(checkpoint, "trainer", `${name}.safetensors`));
    try {
      for (const slot of parameters.layout.slots) {
        const begin = offset(slot);
        if (begin === null) continue;
        const info = file.info(slot.name);
        if (info.dtype !== "F32" || info.shape.join() !== slot.shape.join()) {
          throw new CheckpointError(
            `${file.path}: ${slot.name}: expected F32 [${slot.shape.join(", ")}] ` +
              `but received ${info.dtype} [${info.shape.join(", ")}]`,
          );
        }
        const place = isPart ? optimizer.gradient.narrow(0, 0, slot.size) : kept.narrow(0, begin, slot.size);
        await upload.tensor(file, slot, "F32", place);
        if (!isPart) continue;
        sharding.keepFrom(kept, place, begin);
        if (name === "master") native.copy(compute.narrow(0, begin, slot.size), place);
      }
    } finally {
      await file.close();
    }
    if (name === "master") {
      await checkFinite(parameters, isPart ? compute : kept, checkpoint);
      if (!isPart) parameters.refreshCompute();
    }
  }
  optimizer.zeroGradient();
  await parameters.device.synchronize();
}
