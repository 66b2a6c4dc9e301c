/** A copy of the sources, built as they are and with one fault after another. */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Build, Check } from "./checks.js";
import { execute } from "./execute.js";
import { type Mutant, seeded } from "./mutant.js";

const options: Readonly<Record<Build, readonly string[]>> = {
  plain: [],
  races: ["-DNEXTPATCH_RACES=ON"],
  sanitized: ["-DNEXTPATCH_SANITIZE=ON"],
  none: [],
};
const copied = ["native", "bench", "CMakeLists.txt", "package.json"];

/** The target of a check's build, and the file that it makes. */
const targetOf = ({ run }: Check): [target: string, file: string] =>
  run.kind === "fake"
    ? [`${run.library}_test`, `${run.library}_test`]
    : ["nextpatch_simt", "Release/nextpatch_simt.so"];

/** The library that a check of a fake needs. */
const fakeOf = ({ run }: Check): string[] => (run.kind === "fake" ? [`fake_${run.library}`] : []);

export class Sources {
  readonly #root: string;
  readonly #tree: string;
  readonly #clean: string;
  readonly #results: string;
  #last: Promise<unknown> = Promise.resolve();
  #count = 0;

  private constructor(root: string, folder: string) {
    this.#root = root;
    this.#tree = join(folder, "tree");
    this.#clean = join(folder, "clean");
    this.#results = join(folder, "results");
  }

  /** Copies `root`, and builds what the checks of mutants need. */
  static async copy(root: string, folder: string, checks: readonly Check[]): Promise<Sources> {
    const made = new Sources(root, folder);
    made.#copySources(made.#tree);
    mkdirSync(made.#results);
    const builds = new Set(checks.map(({ build }) => build).filter((build) => build !== "none"));
    for (const build of builds) {
      const where = ["-S", ".", "-B", `build-${build}`, "-DCMAKE_BUILD_TYPE=Release", "-DNEXTPATCH_TESTS=ON"];
      await made.#cmake(...where, ...options[build]);
      const missing = join(made.#tree, `build-${build}`, "Release/nextpatch_simt.missing");
      if (existsSync(missing)) throw new Error(readFileSync(missing, "utf8"));
      const needed = checks.filter((check) => check.build === build);
      await made.#build(build, ...new Set(needed.flatMap((check) => [targetOf(check)[0], ...fakeOf(check)])));
    }
    await made.#copyTimes(made.#tree, made.#clean);
    return made;
  }

  /** The fake of the check's build, by the variable that names it. */
  fake({ build, run }: Check): NodeJS.ProcessEnv {
    if (run.kind !== "fake") return {};
    return { [run.variable]: join(this.#clean, `build-${build}`, `Release/libfake_${run.library}.so`) };
  }

  /** What the check runs, without a fault. */
  unchanged(check: Check): string {
    return check.build === "none" ? this.#clean : join(this.#clean, `build-${check.build}`, targetOf(check)[1]);
  }

  /** What the check runs, with the fault: the file that was built, or the folder of the sources. One is built at a time. */
  mutated(mutant: Mutant): Promise<string> {
    const built = this.#last.then(() => this.#mutate(mutant));
    this.#last = built.catch(() => undefined);
    return built;
  }

  async #mutate(mutant: Mutant): Promise<string> {
    const { build } = mutant.check;
    const result = join(this.#results, `${++this.#count}`);
    if (build === "none") {
      this.#copySources(result);
      this.#seed(mutant, result);
      return result;
    }
    this.#seed(mutant, this.#tree);
    const [target, file] = targetOf(mutant.check);
    await this.#build(build, target);
    cpSync(join(this.#tree, `build-${build}`, file), result);
    // With the times that a build goes by, so that the next mutant compiles only what depends on its own file.
    for (const name of [mutant.file, `build-${build}`]) {
      rmSync(join(this.#tree, name), { recursive: true });
      await this.#copyTimes(join(this.#clean, name), join(this.#tree, name));
    }
    return result;
  }

  #seed(mutant: Mutant, folder: string): void {
    const file = join(folder, mutant.file);
    writeFileSync(file, seeded(mutant, readFileSync(file, "utf8")));
  }

  #copySources(folder: string): void {
    for (const name of copied) cpSync(join(this.#root, name), join(folder, name), { recursive: true });
    symlinkSync(join(this.#root, "node_modules"), join(folder, "node_modules"));
  }

  async #copyTimes(from: string, to: string): Promise<void> {
    const { passed, output } = await execute("cp", ["-a", from, to], { cwd: this.#root });
    if (!passed) throw new Error(output);
  }

  #build(build: Build, ...targets: string[]): Promise<void> {
    const parallel = ["--parallel", String(availableParallelism())];
    return this.#cmake("--build", `build-${build}`, ...parallel, "--target", ...targets);
  }

  async #cmake(...args: string[]): Promise<void> {
    const { passed, output } = await execute("cmake", args, { cwd: this.#tree });
    if (!passed) throw new Error(`cmake ${args.join(" ")}\n${output}`);
  }
}
