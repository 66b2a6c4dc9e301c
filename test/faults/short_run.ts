/** Runs of a few steps and checkpoints, whose weights are compared with those of a run left alone. */
import { deepStrictEqual } from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import type { Place } from "./place.js";

/** Flags of a run of twelve steps and three checkpoints. */
export const SHORT = [
  ...["--set", "train.steps=12"],
  ...["--set", "checkpoint.everySteps=4"],
  ...["--set", "checkpoint.keep=1"],
] as const;

/** Goes on with a run to its end, or begins it, if it had not begun. */
export async function finishAuto(place: Place, out: string, flags: readonly string[]): Promise<void> {
  const { code, stderr } = await place.train(out, ...flags, "--resume=auto").ended;
  deepStrictEqual(code, 0, stderr);
}

/** Checks that a run's weights are those of a run with these flags that was left alone, which is made if it is not there. */
export async function sameWeights(place: Place, out: string, flags: readonly string[]): Promise<void> {
  const alone = `alone-${createHash("sha256").update(flags.join()).digest("hex").slice(0, 8)}`;
  if (!existsSync(place.path(alone))) {
    const { code, stderr } = await place.train(alone, ...flags).ended;
    deepStrictEqual(code, 0, stderr);
  }
  deepStrictEqual(place.weights(out), place.weights(alone));
}
