/** The fuzzers, by name. Each is made by itself, as it needs files or a device. */
import { argumentTarget } from "./arguments.js";
import { fileTarget, fileTargetNames } from "./files.js";
import { publicFunctionsTarget } from "./public_functions.js";
import { runFolderTarget } from "./run_folder.js";
import type { FuzzTarget } from "./target.js";

/** The exit code of a process that has told its failure. A sanitizer, and an error that nobody caught, have 1. */
export const toldFailure = 10;

/** What a process says of itself while it works. */
export interface Progress {
  /** The round's. */
  readonly seed: number;
  /** Inputs since the round began. */
  readonly tried: number;
}

/** A target that was made; `close` deletes its files. */
export interface MadeTarget {
  readonly target: FuzzTarget;
  readonly close: () => void;
}

const nothing = () => undefined;

const makers: Readonly<Record<string, (name: string) => MadeTarget | Promise<MadeTarget>>> = {
  ...Object.fromEntries(fileTargetNames.map((name) => [name, fileTarget])),
  "run-folder": runFolderTarget,
  "arguments-cpu": () => ({ target: argumentTarget("cpu"), close: nothing }),
  "arguments-simt": () => ({ target: argumentTarget("simt"), close: nothing }),
  "public-functions": publicFunctionsTarget,
};

export const targetNames: readonly string[] = Object.keys(makers);

/** @param name one of `targetNames` */
export async function makeTarget(name: string): Promise<MadeTarget> {
  return makers[name]!(name);
}
