/** Tells, without typedoc, whether a page is of other declarations than those of the sources. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { declarationsOf } from "./declarations.js";
import type { Export } from "./pages.js";

/** @param dist a built package's dist folder */
export function fingerprint(dist: string, exports: readonly Export[]): string {
  const hash = createHash("sha256");
  for (const { name, entry } of exports) {
    for (const { text } of declarationsOf(name, join(dist, `${entry}.d.ts`))) hash.update(text).update("\0");
  }
  return hash.digest("hex").slice(0, 16);
}
