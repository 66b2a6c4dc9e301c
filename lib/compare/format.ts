/** Numbers of a comparison as text. */
import { formatDuration } from "../report/format.js";
import { showsNone } from "./paired.js";
import type { LossDifference } from "./readings.js";

/** `0.502×`: a share of the baseline; a dash if it was not measured. */
export function formatShare(share: number | null): string {
  return share === null ? "–" : `${share.toFixed(3)}×`;
}

/** `+0.0123`: a difference from the baseline, of losses unless told. */
export function formatDelta(delta: number, digits = 4): string {
  return Number.isFinite(delta) ? `${delta < 0 ? "−" : "+"}${Math.abs(delta).toFixed(digits)}` : "diverged";
}

/** `+0.0123 ± 0.0045`: the mean with half of its interval, if there are several seeds. */
export function formatDifference({ valLossDelta, paired }: LossDifference): string {
  const mean = formatDelta(valLossDelta);
  if (paired === null || !Number.isFinite(valLossDelta)) return mean;
  return `${mean} ± ${(paired.high - paired.mean).toFixed(4)}`;
}

/**
 * What seeds say of a difference: `no difference seen: 95% interval −0.0531 to +0.0189, 5 seeds`, or that one seed says
 * nothing.
 */
export function intervalText({ valLossDelta, paired }: LossDifference): string {
  if (!Number.isFinite(valLossDelta)) return "a run diverged";
  if (paired === null) return "one seed";
  const { n, low, high } = paired;
  const interval = `95% interval ${formatDelta(low)} to ${formatDelta(high)}, ${n} seeds`;
  return showsNone(paired) ? `no difference seen: ${interval}` : interval;
}

/** Seconds as a duration; a dash if they were not measured. */
export function formatSeconds(seconds: number | null): string {
  return seconds === null ? "–" : formatDuration(seconds);
}
