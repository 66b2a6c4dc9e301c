/**
 * Reports how every kernel compiles, without a GPU:
 *
 *     npm run check:cuda [-- --out bench/results/ptxas-cuda-13.0.txt] [--only attention/dkdv.cu]
 *
 * Compiles each .cu file for what the build contains and prints registers, static shared memory, stack and spills per
 * kernel, the instructions of the attention kernels' PTX, and, if cuobjdump (from the CUDA toolkit) is on the PATH,
 * those of the hot kernels' machine code. Fails on spills in the attention, cross-entropy and embedding kernels
 * (elsewhere they are a warning), if an attention kernel on tensor cores lacks tensor-core instructions or 16-byte
 * accesses, if a warpgroup's products do not overlap, lack a fence or are in other code than that for sm_90a, and if a
 * source does not compile with an aarch64 host compiler, where one is found. Without nvcc: skipped. --out also writes
 * the report to a file; --only compiles the files whose path has this in it.
 */
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { arm64Compiler, compileForArm64 } from "./arm64.js";
import { architectureOf, kernelTiles, residentWarps, wantedWarps } from "./occupancy/occupancy.js";
import { inParallel } from "./parallel.js";
import { printed } from "./printed.js";
import {
  countInstructions,
  countSass,
  type Injected,
  type InstructionCounts,
  injected,
  type KernelUse,
  parseUse,
  type SassCounts,
  sassInstructions,
  serialized,
  shortName,
} from "./ptxas.js";

/** Files whose kernels must not spill. */
const hot = /^(attention|cross_entropy|patch_embedding)/;
/** Files whose kernels all run on tensor cores; those for f32 and unaligned tensors are in separate files. */
const tensorCore = new Set(["attention/forward.cu", "attention/dkdv.cu", "attention/dq.cu"]);
/** Kernels with a warpgroup's products, which exist in one architecture's code alone; elsewhere they only trap. */
const warpgroups = { name: /_wgmma_kernel/, architecture: "sm_90a", mostRegistersOfTrap: 16 };
/**
 * Fences that the assembler adds to a kernel whose own are all there. The forward's product with the values is in a
 * branch, and it begins there and behind it anew.
 */
const fencesOfBranches = (kernel: string): number => (kernel.startsWith("attention_forward_wgmma_kernel") ? 2 : 0);

const folder = fileURLToPath(new URL("../native/cuda", import.meta.url));
const flags = ["-std=c++17", "-lineinfo"];
/** What the build contains: machine code, and PTX. */
const built = readFileSync(join(folder, "cuda.cmake"), "utf8").match(/-gencode=[^\s)]+/g) ?? [];
const reported = new Set(built.join().match(/sm_\d+a?/g));
/** Later GPUs run the PTX for compute_90, which their drivers compile: here it only has to assemble. */
const later = ["sm_100", "sm_120"];
const run = promisify(execFile);

interface FileReport {
  readonly file: string;
  readonly uses: readonly KernelUse[];
  /** Symbols of the kernels whose products do not overlap. */
  readonly serialized: readonly string[];
  readonly injected: ReadonlyMap<string, Injected>;
  readonly counts: ReadonlyMap<string, InstructionCounts> | null;
  readonly sass: readonly SassCounts[];
}

async function compile(file: string, nvcc: string, scratch: string): Promise<FileReport> {
  const source = join(folder, file);
  const output = join(scratch, file.replace("/", "_"));
  const options = { maxBuffer: 64 * 2 ** 20 };
  const object = [...flags, "-Xptxas", "-v", ...built, ...assembled, "-c", "-o", `${output}.o`, source];
  // -v writes to stderr; a message on stdout is the host compiler's.
  const { stderr } = await run(nvcc, object, options);
  const uses = parseUse(stderr).filter(({ architecture }) => reported.has(architecture));
  const products = { serialized: serialized(stderr), injected: injected(stderr) };
  const dumped = cuobjdump && hot.test(file) ? await run("cuobjdump", ["--dump-sass", `${output}.o`], options) : null;
  const sass = dumped === null ? [] : countSass(dumped.stdout);
  if (!tensorCore.has(file)) return { file, uses, ...products, counts: null, sass };
  await run(nvcc, [...flags, "-ptx", "-arch=compute_80", "-o", `${output}.ptx`, source], options);
  return { file, uses, ...products, counts: countInstructions(readFileSync(`${output}.ptx`, "utf8")), sass };
}

function compileAll(nvcc: string, scratch: string): Promise<FileReport[]> {
  const files = readdirSync(folder, { encoding: "utf8", recursive: true }).filter(
    (name) => name.endsWith(".cu") && name.includes(only),
  );
  return inParallel(files.sort(), (file) => compile(file, nvcc, scratch));
}

/** Compiles for servers with Arm processors, says so, and returns what does not compile. */
async function checkArm64(nvcc: string, scratch: string): Promise<string[]> {
  const compiler = arm64Compiler();
  if (compiler === null) {
    print("aarch64: not compiled, no aarch64-linux-gnu-g++ (on Debian or Ubuntu: g++-12-aarch64-linux-gnu)");
    return [];
  }
  const { files, failures } = await compileForArm64(nvcc, compiler, folder, scratch);
  print(
    `aarch64: ${files - failures.length} of ${files} sources compile with ${compiler} as host compiler; not linked`,
  );
  return failures;
}

/** Demangled names, or the symbols if c++filt is missing. */
function readable(symbols: readonly string[]): Map<string, string> {
  try {
    const text = execFileSync("c++filt", { input: symbols.join("\n"), encoding: "utf8" });
    const names = text.split("\n").map(shortName);
    return new Map(symbols.map((symbol, i) => [symbol, names[i]!]));
  } catch {
    return new Map(symbols.map((symbol) => [symbol, symbol]));
  }
}

const reportLines: string[] = [];
function print(line: string): void {
  reportLines.push(`${line.trimEnd()}\n`);
  process.stdout.write(reportLines.at(-1)!);
}

function printTable(rows: readonly (readonly (string | number)[])[]): void {
  const cells = rows.map((row) => row.map(String));
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  for (const row of cells) {
    print(row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "));
  }
}

function report(files: readonly FileReport[]): { failures: string[]; warnings: string[] } {
  const failures: string[] = [];
  const warnings: string[] = [];
  const names = readable(files.flatMap(({ uses }) => uses.map(({ symbol }) => symbol)));
  const rows: (string | number)[][] = [["kernel", "architecture", "registers", "shared", "stack", "spilled"]];
  for (const { file, uses, serialized: oneByOne } of files) {
    for (const symbol of oneByOne) failures.push(`${file}: ${names.get(symbol) ?? symbol}: its wgmma do not overlap`);
    const order = ({ architecture, symbol }: KernelUse) => `${names.get(symbol)} ${architecture}`;
    const sorted = [...uses].sort((a, b) => order(a).localeCompare(order(b), "en", { numeric: true }));
    for (const use of sorted) {
      const spilled = use.spillStores + use.spillLoads;
      const name = names.get(use.symbol)!;
      if (warpgroups.name.test(name) && use.architecture !== warpgroups.architecture) {
        const { registers, architecture } = use;
        if (registers <= warpgroups.mostRegistersOfTrap) continue;
        failures.push(
          `${file}: ${name} (${architecture}) has code: expected a trap but received ${registers} registers`,
        );
      }
      addUse(rows, [name, use.architecture, use.registers, use.staticShared, use.stack, spilled]);
      if (spilled === 0) continue;
      const bytes = `${use.spillStores} bytes and loads ${use.spillLoads}`;
      const message = `${file}: ${name} (${use.architecture}) spills ${bytes}`;
      (hot.test(file) ? failures : warnings).push(message);
    }
  }
  printTable(rows);

  printInjected(files, names, failures);

  print("");
  const registersOf = new Map(
    files.flatMap(({ uses }) => uses.map((use) => [`${names.get(use.symbol)} ${use.architecture}`, use.registers])),
  );
  printOccupancy(registersOf, failures);

  const header = ["kernel (PTX for sm_80)", "mma", "ldmatrix", "cp.async", "shared 16 B", "global 16 B"];
  const counted: (string | number)[][] = [header];
  for (const { file, counts } of files) {
    if (counts === null) continue;
    if (counts.size === 0) failures.push(`${file}: no kernel`);
    for (const [symbol, { mma, ldmatrix, cpAsync, shared16, global16 }] of counts) {
      const row = [mma, ldmatrix, cpAsync, shared16, global16];
      counted.push([names.get(symbol) ?? symbol, ...row]);
      row.forEach((count, i) => {
        if (count === 0) failures.push(`${file}: ${names.get(symbol) ?? symbol} has no instruction: ${header[i + 1]}`);
      });
    }
  }
  print("");
  printTable(counted);

  const sass = files.flatMap((file) => file.sass);
  print("");
  if (sass.length === 0) print("instructions of the machine code: not counted, no cuobjdump");
  else {
    const rows = sass.map(({ symbol, architecture, counts }) => [names.get(symbol) ?? symbol, architecture, ...counts]);
    printTable([["kernel (machine code)", "architecture", ...sassInstructions], ...rows]);
  }
  return { failures, warnings };
}

/** Adds a row, or its architecture to the row of the same kernel with the same numbers. */
function addUse(rows: (string | number)[][], row: (string | number)[]): void {
  const same = rows.find((other) => row.every((cell, i) => i === 1 || other[i] === cell));
  if (same) same[1] = `${same[1]} ${row[1]}`;
  else rows.push(row);
}

/** What the assembler has added to the warpgroups' kernels. A fence that is missing in the source shows here. */
function printInjected(files: readonly FileReport[], names: ReadonlyMap<string, string>, failures: string[]): void {
  const rows: (string | number)[][] = [["kernel", "fences added by ptxas", "waits added"]];
  for (const { file, injected: found } of files) {
    const named = [...found].map(([symbol, counts]) => ({ name: names.get(symbol) ?? symbol, ...counts }));
    for (const { name, fences, waits } of named.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }))) {
      rows.push([name, fences, waits]);
      if (fences <= fencesOfBranches(name)) continue;
      failures.push(`${file}: ${name} lacks a wgmma_fence: ptxas has added ${fences}`);
    }
  }
  if (rows.length === 1) return;
  print("");
  printTable(rows);
}

/** The warps of a multiprocessor for every kernel of attention on every compute capability. */
function printOccupancy(registersOf: ReadonlyMap<string, number>, failures: string[]): void {
  const rows: (string | number)[][] = [["kernel", "capability", "registers", "shared of a block", "warps resident"]];
  for (const tile of kernelTiles()) {
    const { kernel, capability, sharedBytes } = tile;
    const registers = registersOf.get(`${kernel} ${architectureOf(capability)}`);
    if (registers === undefined) {
      if (only !== "") continue;
      failures.push(`${kernel} (${capability}): not compiled`);
      continue;
    }
    const warps = residentWarps(tile, registers);
    rows.push([kernel, capability, registers, sharedBytes, warps]);
    if (warps >= wantedWarps) continue;
    failures.push(`${kernel} (${capability}): expected at least ${wantedWarps} resident warps but received ${warps}`);
  }
  printTable(rows);
}

const { out, only } = parseArgs({
  options: { out: { type: "string" }, only: { type: "string", default: "" } },
}).values;
const nvcc = process.env.NVCC ?? "nvcc";
const cuobjdump = printed("cuobjdump", ["--version"]) !== null;
const version = printed(nvcc, ["--version"]);
if (version === null) {
  process.stdout.write("skipped: no nvcc\n");
  process.exit(0);
}
const start = performance.now();
const knownToNvcc = new Set(printed(nvcc, ["--list-gpu-code"])?.split(/\s+/));
const known = later.filter((name) => knownToNvcc.has(name));
const assembled = known.length > 0 ? [`-gencode=arch=compute_90,code=[${known.join(",")}]`] : [];
const scratch = mkdtempSync(join(tmpdir(), "nextpatch-ptxas-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
const files = await compileAll(nvcc, scratch).catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
print(
  known.length > 0
    ? `The PTX for compute_90 assembles for ${known.join(" and ")}, which the driver compiles it for.`
    : `The PTX for compute_90 was not assembled for ${later.join(" and ")}: this nvcc does not know them.`,
);
print(`nvcc ${/release .*/.exec(version)?.[0] ?? version.trim()}: ${flags.join(" ")}`);
const arm64Failures = await checkArm64(nvcc, scratch);
print("");
const { failures, warnings } = report(files);
failures.push(...arm64Failures);
if (out !== undefined) writeFileSync(out, reportLines.join(""));
for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
for (const failure of failures) process.stderr.write(`failed: ${failure}\n`);
process.stderr.write(`compiled in ${Math.round((performance.now() - start) / 1000)} s\n`);
if (failures.length > 0) process.exitCode = 1;
