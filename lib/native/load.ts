/** Chooses the addon among the package's and the local build's, and says why there is none. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type * as Binding from "../../binding.js";
import { missingCuda } from "./cuda.js";
import { isTooOld, type Machine, thisMachine } from "./machine.js";
import { cudaPackages, findBuild, findPackage, type Package, platformPackageName } from "./package.js";
import { installLine } from "./package_manager.js";
import {
  type Candidate,
  crashedLibrary,
  crashProblem,
  fileProblem,
  loadProblem,
  missingProblem,
  nodeProblem,
  versionProblem,
} from "./problems.js";
import { crashesOf } from "./trial_cache.js";

/** An addon that was loaded. */
export interface Loaded {
  readonly binding: typeof Binding;
  readonly from: Candidate;
  /** Backends' libraries that end a process, and are not used. */
  readonly passedOver: readonly string[];
}

/** A folder with a cuda backend, and what is wrong with it. */
interface CudaFolder {
  readonly folder: string;
  readonly problem: string | null;
}

/** Loads the first candidate that can be loaded; else returns what is wrong with the first. */
export function loadAddon(self: Package, machine = thisMachine()): Loaded | { readonly problem: string } {
  if (isTooOld(machine.node)) return { problem: nodeProblem(machine) };
  const candidates = findCandidates(self, machine);
  const cuda = cudaFolders(self, machine);
  let problem: string | null = null;
  for (const candidate of candidates) {
    const result = tryCandidate(candidate, candidates, cuda, self, machine);
    if (typeof result !== "string") return result;
    problem ??= result;
  }
  return { problem: problem ?? missingProblem(machine, self) };
}

function findCandidates(self: Package, { platform, arch }: Machine): Candidate[] {
  const installed = platform === "linux" ? findPackage(self, platformPackageName(platform, arch)) : null;
  const build = findBuild(self);
  return [
    ...(installed === null ? [] : [{ file: join(installed.folder, "nextpatch.node"), package: installed }]),
    ...(build === null ? [] : [{ file: build, package: null }]),
  ];
}

function tryCandidate(
  candidate: Candidate,
  candidates: readonly Candidate[],
  cuda: readonly CudaFolder[],
  self: Package,
  machine: Machine,
): Loaded | string {
  const wrong = fileProblem(candidate, machine, self);
  if (wrong !== null) return wrong;
  const { file } = candidate;
  // A local build adds what the package lacks, as the cuda backend.
  const builds = candidates.filter((other) => other !== candidate && other.package === null);
  const folders = [...cuda.map(({ folder }) => folder), ...builds.map((build) => dirname(build.file))];
  const crashes = crashesOf(file, folders, self.version);
  if (crashes[file] !== undefined) return crashProblem(candidate, crashes[file], self);
  let binding: typeof Binding;
  try {
    binding = createRequire(import.meta.url)(file) as typeof Binding;
  } catch (error) {
    return loadProblem(candidate, error, machine, self);
  }
  if (binding.version !== self.version) return versionProblem(candidate, binding.version, self);
  for (const folder of folders) binding.addBackendFolder(folder);
  for (const { folder, problem } of cuda) {
    if (problem !== null) binding.excludeLibrary(join(folder, "nextpatch_cuda.so"), problem);
  }
  const passedOver = Object.entries(crashes).map(([library, signal]) => {
    const problem = crashedLibrary(library, signal);
    binding.excludeLibrary(library, problem);
    return problem;
  });
  if (!self.clone) {
    binding.explainMissing("cuda", missingCuda(machine, self));
    binding.explainMissing("simt", "it is for the tests of nextpatch itself, in a clone of its repository");
  }
  return { binding, from: candidate, passedOver };
}

function cudaFolders(self: Package, { platform, arch }: Machine): CudaFolder[] {
  return cudaPackages.flatMap(({ suffix }): CudaFolder[] => {
    const found = findPackage(self, `${platformPackageName(platform, arch)}-${suffix}`);
    if (found === null || !existsSync(join(found.folder, "nextpatch_cuda.so"))) return [];
    const { name, folder, version } = found;
    if (version === self.version) return [{ folder, problem: null }];
    const line = installLine(`${name}@${self.version}`, self.root);
    return [{ folder, problem: `${name} is of version ${version}, expected ${self.version} as nextpatch: ${line}` }];
  });
}
