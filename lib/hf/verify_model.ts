import { verifyManifest } from "../disk/manifest.js";

/**
 * Compares the files of a model's folder with its manifest, if it has one: those that `Llama.save` and `train` write do.
 * A checkpoint's state of the trainer is not the model's, and is left out.
 * @throws CheckpointError naming the file that is damaged
 */
export async function verifyModel(folder: string): Promise<void> {
  await verifyManifest(folder, (name) => !name.startsWith("trainer/"));
}
