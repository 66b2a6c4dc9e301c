import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { hashFile } from "../../lib/disk/hash_file.js";
import { MANIFEST, ManifestWriter } from "../../lib/disk/manifest.js";

/** The files of a folder and of those below it, as a manifest names them. */
function filesOf(folder: string): string[] {
  return (readdirSync(folder, { recursive: true }) as string[]).filter((name) => statSync(join(folder, name)).isFile());
}

/** Writes a folder's manifest anew, as if its files had been written as they are. */
export async function sign(folder: string): Promise<void> {
  const manifest = new ManifestWriter(folder);
  for (const name of filesOf(folder)) {
    if (name === MANIFEST) continue;
    const path = join(folder, name);
    manifest.note(name, { bytes: statSync(path).size, sha256: await hashFile(path) });
  }
  await manifest.finish();
}
