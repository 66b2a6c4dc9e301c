/** `nextpatch build`: compiles the addon from source, where no package fits. */
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { DeviceError } from "../errors.js";
import { thisMachine } from "../native/machine.js";
import { findPackage, type Package, platformPackageName } from "../native/package.js";
import { missingProblem } from "../native/problems.js";
import { tryAddon } from "../native/trial.js";
import { thisPackage } from "../native.js";
import { compile } from "./build/compile.js";
import { missingToolsProblem } from "./build/tools.js";
import type { CliIo } from "./io.js";

export function registerBuild(program: Command, io: CliIo): void {
  program
    .command("build")
    .description(
      "compile the addon from source, where no package of compiled files fits; says which tools are missing, and how " +
        "to install them",
    )
    .option("--cuda", "compile the cuda backend too, which needs nvcc of CUDA 12.4 or later and takes minutes more")
    .action(async ({ cuda = false }: { cuda?: boolean }) => build(cuda, io));
}

async function build(cuda: boolean, io: CliIo): Promise<void> {
  const machine = thisMachine();
  const self = thisPackage();
  if (machine.platform !== "linux") throw new DeviceError(missingProblem(machine, self));
  const missing = missingToolsProblem(cuda);
  if (missing !== null) throw new Error(missing);
  const start = performance.now();
  io.log(`building in ${join(self.root, "build")}`);
  const progress = io.progress("build");
  const log = await compile({
    root: self.root,
    settings: settingsOf(self, cuda),
    onProgress: (done, total) => progress.update(done, total, total === 100 ? undefined : `${done}/${total}`),
  }).finally(() => progress.stop());
  const seconds = (performance.now() - start) / 1000;
  const folder = join(self.root, "build", "Release");
  const addon = join(folder, "nextpatch.node");
  const [crash] = Object.entries(tryAddon(addon, []).crashes);
  if (crash)
    throw new DeviceError(
      `nextpatch build: ${crash[0]} stops with ${crash[1]}\nFor all that was printed:\n  less ${log}`,
    );
  const backends = ["cpu", "cuda", "simt"].filter((name) => hasBackend(folder, name));
  const before = findPackage(self, platformPackageName(machine.platform, machine.arch));
  const words = [`built in ${seconds.toFixed(0)} s: ${addon}, with ${backends.join(" and ")}`];
  if (before !== null) words.push(`${before.name} is installed and, if it fits, used before this build`);
  io.result(words.join("\n"), { addon, backends, seconds, log });
}

/** In a clone everything that can be built, as `npm run build:native` does; elsewhere what was asked for. */
function settingsOf({ clone }: Package, cuda: boolean): Record<string, string> {
  return {
    NODE_ADDON_API_DIR: dirname(createRequire(import.meta.url).resolve("node-addon-api/package.json")),
    NEXTPATCH_CUDA: clone || cuda ? "ON" : "OFF",
    NEXTPATCH_SIMT: clone ? "ON" : "OFF",
  };
}

function hasBackend(folder: string, name: string): boolean {
  return (
    existsSync(folder) &&
    readdirSync(folder).some((file) => file.startsWith(`nextpatch_${name}`) && file.endsWith(".so"))
  );
}
