/** What a run keeps of the model that it continues, so that its own models differ from it in nothing but the weights. */
import { existsSync } from "node:fs";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { RunConfig } from "../config/config.js";
import { writeFolder } from "../disk/durable.js";
import { modelFolder } from "../hf/hub_cache.js";

/** Copies the configuration of the model that a run begins with into its folder; null: it begins with random weights. */
export async function keepBase(config: RunConfig): Promise<string | null> {
  if (!("from" in config.init)) return null;
  const base = join(config.out, "base");
  if (existsSync(base)) return base;
  const from = modelFolder(config.init.from);
  await writeFolder(base, async (folder) => {
    await mkdir(folder);
    for (const name of ["config.json", "generation_config.json"]) {
      if (existsSync(join(from, name))) await copyFile(join(from, name), join(folder, name));
    }
  });
  return base;
}
