/** Metrics lines of a run that was never run, for tests of what reads them. */
import type { MetricsLine } from "../../lib/report/metrics.js";

export const madeLine = (step: number, changes: Partial<MetricsLine> = {}): MetricsLine => ({
  step,
  stage: 0,
  patchSize: 1,
  tokens: step * 8,
  positions: step * 8,
  loss: 5,
  lr: 1e-3,
  gradNorm: 1,
  seconds: step,
  tokensPerSecond: 8,
  flops: step,
  mfu: null,
  ...changes,
});

/** The lines of some steps, as metrics.jsonl has them. */
export const madeText = (from: number, to: number, changes: Partial<MetricsLine> = {}): string =>
  Array.from({ length: to - from + 1 }, (_, index) => `${JSON.stringify(madeLine(from + index, changes))}\n`).join("");
