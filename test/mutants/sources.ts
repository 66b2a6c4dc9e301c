/** A copy of the sources, built as they are and with one fault after another. */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { execute } from "./execute.js";
import { type Mutant, seeded, type Target } from "./mutant.js";

const files: Record<Target, string> = {
  nextpatch_simt: "build/Release/nextpatch_simt.so",
  cublaslt_test: "build/cublaslt_test",
};
const fake = "build/Release/libfake_cublaslt.so";

export class Sources {
  readonly #tree: string;
  readonly #clean: string;
  readonly #results: string;
  #last: Promise<unknown> = Promise.resolve();
  #count = 0;

  private constructor(folder: string) {
    this.#tree = join(folder, "tree");
    this.#clean = join(folder, "clean");
    this.#results = join(folder, "results");
  }

  /** Copies `root`, and builds what mutants change. */
  static async copy(root: string, folder: string): Promise<Sources> {
    const made = new Sources(folder);
    for (const name of ["native", "CMakeLists.txt"]) cpSync(join(root, name), join(made.#tree, name), copying);
    mkdirSync(made.#results);
    await made.#cmake("-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=Release", "-DNEXTPATCH_TESTS=ON");
    await made.#build(...Object.keys(files), "fake_cublaslt");
    cpSync(made.#tree, made.#clean, copying);
    return made;
  }

  /** The fake cuBLASLt. */
  get fake(): string {
    return join(this.#clean, fake);
  }

  /** The target without a fault. */
  unchanged(target: Target): string {
    return join(this.#clean, files[target]);
  }

  /** The target with the fault. One is built at a time. */
  mutated(mutant: Mutant): Promise<string> {
    const built = this.#last.then(() => this.#mutate(mutant));
    this.#last = built.catch(() => undefined);
    return built;
  }

  async #mutate(mutant: Mutant): Promise<string> {
    const file = join(this.#tree, mutant.file);
    writeFileSync(file, seeded(mutant, readFileSync(file, "utf8")));
    const { target } = mutant.check;
    await this.#build(target);
    const result = join(this.#results, `${++this.#count}`);
    cpSync(join(this.#tree, files[target]), result);
    // With the times that the build goes by: nothing is built again for the next mutant.
    rmSync(this.#tree, { recursive: true });
    cpSync(this.#clean, this.#tree, copying);
    return result;
  }

  #build(...targets: string[]): Promise<void> {
    return this.#cmake("--build", "build", "--parallel", String(availableParallelism()), "--target", ...targets);
  }

  async #cmake(...args: string[]): Promise<void> {
    const { passed, output } = await execute("cmake", args, { cwd: this.#tree });
    if (!passed) throw new Error(`cmake ${args.join(" ")}\n${output}`);
  }
}

const copying = { recursive: true, preserveTimestamps: true };
