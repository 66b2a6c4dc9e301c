/** How many warps of attention's kernels a multiprocessor holds, from registers (ptxas) and shared memory (the tiles). */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** A kernel on a compute capability, as tiles.cpp prints it. */
export interface KernelTile {
  /** `attention_forward_kernel<64, 0>` */
  readonly kernel: string;
  /** `8.6` */
  readonly capability: string;
  /** Of a block. */
  readonly warps: number;
  /** Dynamic shared memory of a block, in bytes. */
  readonly sharedBytes: number;
  /** Shared memory of a multiprocessor, in bytes. */
  readonly multiprocessorBytes: number;
}

/** Warps that every kernel must reach: two for each scheduler. */
export const wantedWarps = 8;

/** Shared memory that each block takes for itself, in bytes. */
const reservedBytes = 1024;
/** A multiprocessor's registers lie in four parts, and a warp takes them from one, in units of 256. */
const parts = 4;
const registersOfPart = 16384;

/** Blocks that the registers of a multiprocessor hold. */
function blocksByRegisters(registers: number, warps: number): number {
  const ofWarp = Math.ceil((registers * 32) / 256) * 256;
  return Math.floor((parts * Math.floor(registersOfPart / ofWarp)) / warps);
}

/** Warps that a multiprocessor holds. */
export function residentWarps(tile: KernelTile, registers: number): number {
  const bySharedMemory = Math.floor(tile.multiprocessorBytes / (tile.sharedBytes + reservedBytes));
  return Math.min(bySharedMemory, blocksByRegisters(registers, tile.warps)) * tile.warps;
}

/** The machine code that a capability runs. */
export function architectureOf(capability: string): string {
  return capability === "9.0" ? "sm_90a" : `sm_${capability.replace(".", "")}`;
}

/** Parses what tiles.cpp prints. */
export function parseTiles(text: string): KernelTile[] {
  return text
    .trim()
    .split("\n")
    .map((line) => {
      const [kernel, capability, warps, sharedBytes, multiprocessorBytes] = line.split("\t");
      return {
        kernel: kernel!,
        capability: capability!,
        warps: Number(warps),
        sharedBytes: Number(sharedBytes),
        multiprocessorBytes: Number(multiprocessorBytes),
      };
    });
}

/**
 * Warps of a multiprocessor by kernel and capability (`attention_dq_kernel<64, 0> 8.6`), as the output of
 * `npm run check:cuda` has them.
 */
export function parseWarps(report: string): Map<string, number> {
  const rows = report.matchAll(/^(\S+<[^>]*>) +(\d+\.\d) +\d+ +\d+ +(\d+)$/gm);
  return new Map([...rows].map(([, kernel, capability, warps]) => [`${kernel} ${capability}`, Number(warps)]));
}

/** The tiles, from the table that the kernels are compiled from. */
export function kernelTiles(): KernelTile[] {
  const scratch = mkdtempSync(join(tmpdir(), "nextpatch-tiles-"));
  try {
    const program = join(scratch, "tiles");
    execFileSync("g++", ["-std=c++17", "-o", program, fileURLToPath(new URL("tiles.cpp", import.meta.url))]);
    return parseTiles(execFileSync(program, { encoding: "utf8" }));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
