import type { Arguments } from "../arguments.js";
import { type AdjustLr, adjustLrKinds } from "../config/adjust_lr.js";
import type { AdamWSettings } from "./adamw.js";

/** Learning rates of a step. */
export interface MuonRates {
  /** Of embedding, head and vectors. */
  readonly adamw: number;
  /** Of the layers' matrices, before it is adjusted to their shapes. */
  readonly muon: number;
}

/** The settings of an update, except the learning rates. `weightDecay` and `gradClip` are of all parameters. */
export interface MuonSettings extends AdamWSettings {
  readonly muon: {
    /** Decay rate of the average of the gradient, from 0 to below 1. */
    readonly momentum: number;
    /** Whether the gradient is averaged in once more. */
    readonly nesterov: boolean;
    /** Steps of the Newton-Schulz iteration, from 1 to 99. */
    readonly nsSteps: number;
    /** How the rate is adjusted to a matrix's shape. */
    readonly adjustLr: AdjustLr;
  };
}

/** A copy of the settings of the matrices. @throws TypeError or RangeError for a wrong one */
export function checkedSettings(check: Arguments, settings: MuonSettings["muon"]): MuonSettings["muon"] {
  const { momentum, nesterov, nsSteps, adjustLr } = check.object("muon", settings);
  check.number("muon.momentum", momentum, "a number from 0 to below 1", (value) => value >= 0 && value < 1);
  check.boolean("muon.nesterov", nesterov);
  check.wholeNumber("muon.nsSteps", nsSteps, 1, 99);
  check.oneOf("muon.adjustLr", adjustLr, adjustLrKinds);
  return { momentum, nesterov, nsSteps, adjustLr };
}
