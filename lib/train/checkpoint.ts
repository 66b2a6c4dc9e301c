/** Checkpoints: a Hugging Face folder with the trainer's state in `trainer/`, and a manifest of all files. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFolder } from "../disk/durable.js";
import { ManifestWriter } from "../disk/manifest.js";
import { CheckpointError } from "../errors.js";
import { SafetensorsFile, writeSafetensors } from "../hf/safetensors.js";
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

/**
 * Writes the checkpoint `folder/<name>`.
 * @param source nothing changes it meanwhile
 * @param data the record of the run's data; null: there is none
 * @throws Error of the file system, which names the file; then nothing of it is left
 */
export async function writeCheckpoint(
  folder: string,
  parameters: Parameters,
  { compute, trainer }: CheckpointSource,
  state: TrainerState,
  extras: ModelFolderExtras,
  data: string | null,
): Promise<void> {
  await writeFolder(join(folder, checkpointName(state.step)), async (aside) => {
    for (const part of [aside, join(aside, "trainer")]) await mkdir(part);
    const manifest = new ManifestWriter(aside);
    const { config, dtype } = parameters;
    await writeModelFiles(manifest, { config, dtype, weights: parameterEntries(parameters, compute) }, extras);
    for (const [name, { flat, offset }] of Object.entries(trainer)) {
      const file = `trainer/${name}.safetensors`;
      manifest.note(file, await writeSafetensors(join(aside, file), parameterEntries(parameters, flat, offset)));
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
  const { trainer, sizeOf } = flatTensors(parameters, optimizer);
  for (const [name, { flat: kept, offset }] of Object.entries(trainer)) {
    const isPart = kept.size < sizeOf(kept);
    const flat = isPart ? optimizer.gradient : kept;
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
        await upload.tensor(file, slot, "F32", flat.narrow(0, begin, slot.size));
      }
    } finally {
      await file.close();
    }
    if (name === "master") {
      await checkFinite(parameters, flat, checkpoint);
      if (parameters.compute !== flat) native.copy(parameters.compute, flat);
    }
    if (isPart) parameters.sharding.keep(kept, flat);
  }
  optimizer.zeroGradient();
  await parameters.device.synchronize();
}
