/** Where the manual is, for messages. */
import { join, relative } from "node:path";
import { thisPackage } from "../native.js";

/** The path of a page, as the reader's shell takes it: `node_modules/nextpatch/docs/config.md`. */
export function manualPage(name: string): string {
  const path = join(thisPackage().root, "docs", name);
  const near = relative(process.cwd(), path);
  return near.startsWith("..") ? path : near;
}
