/** What a step of `bench/gpu.sh quick` is, before it runs. */
import type { Command } from "./run_command.js";

/** The most valuable first. `gpu.sh quick PART…` runs only these, after `device`; PART/STEP only that step. */
export const parts = [
  "device",
  "tests",
  "train",
  "operations",
  "kernels",
  "tune",
  "occupancy",
  "bits",
  "ptx",
  "large",
  "sanitize",
  "fault",
  "pytorch",
] as const;
export type Part = (typeof parts)[number];

/** Where the steps run. On simt they have the least sizes: it shows that everything starts, and is read. */
export interface Target {
  readonly backend: "cuda" | "simt";
  /** For what the steps leave. */
  readonly logs: string;
  /** With PyTorch. */
  readonly python: string;
}

export interface QuickPlan {
  readonly part: Part;
  /** Names its files too: `<logs>/<name>.out` and `.log`. */
  readonly name: string;
  /** That it may take. */
  readonly seconds: number;
  readonly command: Command;
  /** Why it cannot be measured here; null if it can. Asked when its turn comes. */
  readonly missing?: () => string | null;
  /** Whether the GPU's clocks are sampled. */
  readonly clocks?: boolean;
  /**
   * Its result, of its output so far or of files that it has left; null or an exception if there is none yet. Also
   * called while the step runs, so that a kill loses nothing.
   */
  readonly read?: (stdout: string) => unknown;
}
