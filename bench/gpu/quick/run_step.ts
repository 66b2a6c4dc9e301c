/** Runs one step, and reports every change, so that a kill loses nothing. */
import { join } from "node:path";
import type { Budget } from "./budget.js";
import type { QuickPlan } from "./plan.js";
import type { QuickStep } from "./result.js";
import { runCommand } from "./run_command.js";

export interface RunStepOptions {
  readonly budget: Budget;
  /** The folder of the steps' output. */
  readonly logs: string;
  /** Of the source. */
  readonly revision: string;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Called when it has begun and when it has found more, with what it is if the program ends now. */
  readonly onChange: (step: QuickStep) => void;
}

/** Skips what cannot run, or what there is no time for. */
export async function runStep(
  plan: QuickPlan,
  { budget, logs, revision, signal, onChange }: RunStepOptions,
): Promise<QuickStep> {
  const seconds = budget.grant(plan.seconds);
  const common = {
    phase: plan.part,
    name: plan.name,
    limit: plan.seconds,
    date: new Date().toISOString(),
    revision,
  };
  const missing = plan.missing?.() ?? null;
  if (missing !== null || seconds === null) {
    return { ...common, outcome: "skipped", seconds: 0, reason: missing ?? "no time was left" };
  }
  const start = performance.now();
  const soFar = (stdout: string): QuickStep => ({
    ...common,
    outcome: "failed",
    seconds: rounded((performance.now() - start) / 1000),
    reason: "cut off",
    ...resultOf(plan, stdout),
  });
  onChange(soFar(""));
  const { failure, tail, clocks, ...ended } = await runCommand(plan.command, {
    seconds,
    log: join(logs, plan.name),
    clocks: plan.clocks ?? false,
    signal,
    onOutput: (stdout) => onChange(soFar(stdout)),
  });
  const read = resultOf(plan, ended.stdout);
  const reason = failure ?? (plan.read !== undefined && !("result" in read) ? "its output has no result" : null);
  return {
    ...common,
    outcome: reason === null ? "passed" : "failed",
    seconds: rounded(ended.seconds),
    ...(reason === null ? {} : { reason, output: tail }),
    ...read,
    ...(clocks === null ? {} : { clocks }),
  };
}

/** Of a step that has not ended well there may be a part, or nothing. */
function resultOf({ read }: QuickPlan, stdout: string): { result?: unknown } {
  try {
    const result = read?.(stdout) ?? null;
    return result === null ? {} : { result };
  } catch {
    return {};
  }
}

const rounded = (seconds: number) => Math.round(10 * seconds) / 10;
