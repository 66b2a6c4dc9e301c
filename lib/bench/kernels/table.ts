import { formatCount } from "../../report/format.js";
import type { KernelBenchResult, KernelTiming } from "./run.js";

/** The result as text: the ceilings, then a line for every kernel, in columns. */
export function kernelTable({ ceilings, kernels }: KernelBenchResult): string {
  const header = ["operation", "shape", "time", "reached", "of ceiling", "bound by"];
  const rows = [header, ...kernels.map(cells)];
  const widths = header.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const leftAligned = new Set([0, 1, 5]);
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (leftAligned.has(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
  const { bytesPerSecond, flopsPerSecond } = ceilings;
  const measured = `copy ${formatCount(bytesPerSecond)}B/s, products ${formatCount(flopsPerSecond)}FLOP/s`;
  return [`measured ceilings: ${measured}`, ...lines].join("\n");
}

function cells({ name, shape, seconds, bound, fractionOfCeiling, ...rate }: KernelTiming): string[] {
  const reached =
    bound === "memory" ? `${formatCount(rate.bytesPerSecond)}B/s` : `${formatCount(rate.flopsPerSecond)}FLOP/s`;
  return [name, shapeText(shape), timeText(seconds), reached, `${(100 * fractionOfCeiling).toFixed(1)} %`, bound];
}

/** `N=8192 C=1024`. */
export function shapeText(shape: KernelTiming["shape"]): string {
  return Object.entries(shape)
    .map(([letter, size]) => `${letter}=${size}`)
    .join(" ");
}

/** `12.34 ms`. */
export function timeText(seconds: number): string {
  if (seconds >= 1) return `${seconds.toPrecision(4)} s`;
  return seconds >= 1e-3 ? `${(1e3 * seconds).toPrecision(4)} ms` : `${(1e6 * seconds).toPrecision(4)} us`;
}
