/** A copy of the tests, with a library to test in its place. */
import { copyFileSync, cpSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { execute, type Outcome } from "./execute.js";
import type { Check } from "./mutant.js";

const copied = ["lib", "test", "examples", "binding.d.ts", "package.json", "jest.config.js"];
const jest = ["--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js", "--runInBand"];

export class Bench {
  readonly #folder: string;

  constructor(root: string, folder: string) {
    this.#folder = folder;
    mkdirSync(join(folder, "build/Release"), { recursive: true });
    for (const name of copied) cpSync(join(root, name), join(folder, name), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    copyFileSync(join(root, "build/Release/nextpatch.node"), join(folder, "build/Release/nextpatch.node"));
  }

  /** Runs the check on what was built for it. */
  run(check: Check, built: string, fake: string): Promise<Outcome> {
    const env = { NODE_OPTIONS: "", FORCE_COLOR: "0", NEXTPATCH_TEST_BACKENDS: "simt", NEXTPATCH_CUBLAS: fake };
    const where = { cwd: this.#folder, env: { ...env, ...check.env } };
    if (check.target === "cublaslt_test") return execute(built, [], where);
    copyFileSync(built, join(this.#folder, "build/Release/nextpatch_simt.so"));
    return execute(process.execPath, [...jest, ...check.jest], where);
  }
}
