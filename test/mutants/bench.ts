/** A copy of the tests, with a backend to test in its place. */
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { Check } from "./checks.js";
import { execute, type Outcome } from "./execute.js";

const copied = ["lib", "test", "examples", "binding.d.ts", "package.json", "jest.config.js"];
/** Of the ordinary build: the addon, and what training by ranks needs beside the backend that is tested. */
const built = /^(nextpatch\.node|nextpatch_cpu_\w+\.so|libfake_nccl\.so)$/;
const jest = ["--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js", "--runInBand"];

/** What test/simt/sanitize.sh sets. */
const sanitizers = (): NodeJS.ProcessEnv => ({
  ASAN_OPTIONS: "detect_leaks=0",
  LD_PRELOAD: execFileSync("g++", ["-print-file-name=libasan.so"], { encoding: "utf8" }).trim(),
});

export class Bench {
  readonly #folder: string;

  constructor(root: string, folder: string) {
    this.#folder = folder;
    mkdirSync(join(folder, "build/Release"), { recursive: true });
    for (const name of copied) cpSync(join(root, name), join(folder, name), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    const release = join(root, "build/Release");
    for (const name of readdirSync(release).filter((each) => built.test(each))) {
      copyFileSync(join(release, name), join(folder, "build/Release", name));
    }
  }

  /** Runs the check on what Sources made for it. */
  run(check: Check, made: string, fake: NodeJS.ProcessEnv): Promise<Outcome> {
    const cwd = this.#folder;
    const env = { NODE_OPTIONS: "", FORCE_COLOR: "0", NEXTPATCH_TEST_BACKENDS: "simt", ...check.env };
    switch (check.run.kind) {
      case "fake":
        return execute(made, [], { cwd, env: { ...env, ...fake } });
      case "assembler": {
        const report = ["node_modules/tsx/dist/cli.mjs", "bench/ptxas_report.ts", "--only", check.run.only];
        return execute(process.execPath, report, { cwd: made, env });
      }
      case "jest": {
        // Not over the file that a process of the last check may still have mapped.
        const backend = join(this.#folder, "build/Release/nextpatch_simt.so");
        rmSync(backend, { force: true });
        copyFileSync(made, backend);
        const more = check.build === "sanitized" ? sanitizers() : {};
        return execute(process.execPath, [...jest, ...check.run.args], { cwd, env: { ...env, ...more } });
      }
    }
  }
}
