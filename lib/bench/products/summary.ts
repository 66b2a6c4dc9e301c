import { formatCount } from "../../report/format.js";
import type { ProductTable, TunedProduct } from "../../train/product_table.js";
import { timeText } from "../kernels/table.js";
import { nameOf } from "./candidates.js";

/** What tuning found about a product. */
export interface ProductSummary {
  /** c's shape, the terms of a sum, which of a and b are transposed, and the dtypes. */
  readonly product: string;
  /** Of one step of each stage and an evaluation. */
  readonly calls: number;
  /** Algorithms that run. */
  readonly candidates: number;
  /** A call's, by the library's first choice and by the chosen algorithm. */
  readonly firstSeconds: number;
  readonly seconds: number;
  /** By the chosen algorithm. */
  readonly flopsPerSecond: number;
}

/** A table in numbers: what takes the most time first. */
export function summarize({ products }: ProductTable): ProductSummary[] {
  return products.map(summary).sort((a, b) => b.calls * b.firstSeconds - a.calls * a.firstSeconds);
}

function summary(product: TunedProduct): ProductSummary {
  const running = product.candidates.filter(({ seconds }) => seconds !== null);
  const { seconds } = running.find(({ algorithm }) => algorithm === product.algorithm)!;
  return {
    product: nameOf(product),
    calls: product.writes + product.adds,
    candidates: running.length,
    firstSeconds: running[0]!.seconds!,
    seconds: seconds!,
    flopsPerSecond: (2 * product.m * product.n * product.k) / seconds!,
  };
}

/** Seconds of all calls, by the library's first choice and by the chosen algorithms. */
export function totals(products: readonly ProductSummary[]): { firstSeconds: number; seconds: number } {
  const sum = (of: (product: ProductSummary) => number) => products.reduce((total, product) => total + of(product), 0);
  return {
    firstSeconds: sum(({ calls, firstSeconds }) => calls * firstSeconds),
    seconds: sum(({ calls, seconds }) => calls * seconds),
  };
}

/** The summary as text, in columns. */
export function summaryText(products: readonly ProductSummary[]): string {
  const header = ["product", "calls", "algorithms", "first choice", "best", "reached", "gain"];
  const rows = products.map(({ product, calls, candidates, firstSeconds, seconds, flopsPerSecond }) => [
    product,
    String(calls),
    String(candidates),
    timeText(firstSeconds),
    timeText(seconds),
    `${formatCount(flopsPerSecond)}FLOP/s`,
    gain(firstSeconds, seconds),
  ]);
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map((row) => row[column]!.length)));
  const lines = [header, ...rows].map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join("  "),
  );
  const { firstSeconds, seconds } = totals(products);
  const all = `all calls of one step of each stage and an evaluation: ${timeText(firstSeconds)} by the first choices`;
  return [...lines, `${all}, ${timeText(seconds)} by the best (${gain(firstSeconds, seconds)})`].join("\n");
}

function gain(first: number, best: number): string {
  return `${(100 * (1 - best / first)).toFixed(1)} %`;
}
