/** The table of attention's warps in docs/cuda.md: `npm run docs` writes it. */
import { readFileSync } from "node:fs";
import { parseWarps } from "../bench/occupancy/occupancy.js";
import { limits } from "../lib/limits.js";
import { row, withLines } from "./marked_table.js";

/**
 * Warps of a multiprocessor with the first tiles, the same for every GPU and on `mma.sync` alone, by head dimension:
 * counted in the same way, from those tiles and the registers that they compiled to. 8.6 and 8.9 ran the code of 8.0.
 */
const before: Readonly<Record<string, Readonly<Record<number, readonly [number, number, number]>>>> = {
  forward: { 32: [12, 12, 12], 48: [12, 12, 12], 64: [8, 8, 8], 80: [8, 4, 8], 96: [8, 4, 8], 128: [8, 4, 8] },
  dkdv: { 32: [8, 8, 8], 48: [8, 8, 8], 64: [8, 8, 8], 80: [8, 8, 8], 96: [8, 8, 8], 128: [8, 8, 8] },
  dq: { 32: [8, 8, 8], 48: [8, 8, 8], 64: [8, 8, 8], 80: [8, 4, 8], 96: [8, 4, 8], 128: [4, 4, 8] },
};
const titles: Readonly<Record<string, string>> = { forward: "forward", dkdv: "dK and dV", dq: "dQ" };
/** The columns, each with the compute capabilities that agree. */
const columns = [["8.0"], ["8.6", "8.9"], ["9.0"]] as const;

/** Warps of a kernel on a capability, by the report of `npm run check:cuda`; the kernel is the one that runs there. */
function warpsNow(warps: ReadonlyMap<string, number>, kernel: string, headDim: number, capability: string): number {
  const pattern = new RegExp(
    `^attention_${kernel}_(wgmma_)?kernel<${headDim}[,>].* ${capability.replace(".", "\\.")}$`,
  );
  const found = [...warps].filter(([name]) => pattern.test(name));
  if (found.length !== 1) throw new Error(`expected one attention_${kernel} of ${headDim} on ${capability}`);
  return found[0]![1];
}

/** The page with the table as the report has the warps now, between `<!-- warps -->` and `<!-- end -->`. */
export function withWarps(page: string): string {
  const report = readFileSync(new URL("../bench/results/ptxas-cuda-13.0.txt", import.meta.url), "utf8");
  const warps = parseWarps(report);
  const rows = Object.entries(before).flatMap(([kernel, dims]) =>
    limits.headDims.map((headDim) => {
      const was = dims[headDim];
      const cells = columns.map((capabilities, column) => {
        const now = new Set(capabilities.map((capability) => warpsNow(warps, kernel, headDim, capability)));
        return `${was === undefined ? "" : `${was[column]} → `}${[...now].join(" / ")}`;
      });
      return row([titles[kernel]!, String(headDim), ...cells]);
    }),
  );
  const head = row(["kernel", "D", ...columns.map((capabilities) => capabilities.join(", "))]);
  return withLines(page, "warps", [head, "|---|---|---|---|---|", ...rows]);
}
