import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The system's Chromium: playwright-core has no browser and does not search the PATH. */
export function findChromium(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.map((folder) => join(folder, "chromium")).find((path) => existsSync(path));
}
