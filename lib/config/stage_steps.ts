/** The length of each stage: from shares of a run's tokens, steps or FLOPs to whole steps. */
import { ConfigError } from "../errors.js";
import type { RunConfig } from "./config.js";
import type { shareUnits } from "./schema.js";

/** What lengths and shares are counted in. */
type Unit = (typeof shareUnits)[number];

/** One step of a stage, in each unit. */
export type StepCost = Readonly<Record<Unit, number>>;

/** Whether a config's steps can be counted only if their FLOPs are known. */
export function countsFlops({ train, stages }: RunConfig): boolean {
  return train.flops !== undefined || unitOfShares(stages) === "flops";
}

/**
 * Steps of each stage.
 * @param costs one step of each stage
 * @param available tokens of an epoch
 * @throws ConfigError if a stage's share is less than half a step
 */
export function countSteps(config: RunConfig, costs: readonly StepCost[], available: number): number[] {
  const { stages } = config;
  const of = unitOfShares(stages);
  const [length, unit] = lengthOf(config.train, available);
  if (stages.some((stage) => stage.steps !== undefined)) return aroundCounted(stages, costs, length, unit);
  const shares = shareOfEach(stages);
  const covered = shares.reduce((a, b) => a + b, 0);
  const target = of === unit ? length : converted(length * covered, shares, costs, unit, of);
  const steps = shares.map((share, index) => Math.round((share * target) / costs[index]![of]));

  const openIndex = stages.findIndex((stage) => stage.fraction === undefined);
  const coversAll = Math.abs(covered - 1) < 1e-9;
  const missing = (index: number) => {
    const amount = costs.reduce((left, cost, each) => left - steps[each]! * cost[unit], length);
    return Math.round(amount / costs[index]![unit]);
  };
  // Shares of tokens of a length in tokens are each rounded alone, so that configs of before mean what they meant. In all
  // other cases the rest is as long as brings the whole run as near to its length as it can.
  const fills = openIndex >= 0 || (coversAll && (of !== "tokens" || unit !== "tokens"));
  const filler = openIndex >= 0 ? openIndex : steps.length - 1;
  if (fills) steps[filler]! += missing(filler);
  steps.forEach((count, index) => {
    if (count < 1) throw tooShort(index, of, costs[index]!, shares[index]! * target, target);
  });
  if (fills && unit === "flops") {
    // What is still missing is less than a step of the filler, but may be several of a cheaper stage.
    const flops = costs.map((cost) => cost.flops);
    const cheapest = flops.indexOf(Math.min(...flops));
    steps[cheapest] = Math.max(1, steps[cheapest]! + missing(cheapest));
  }
  return steps;
}

/** Stages whose steps are counted, and the one that gets the rest. */
function aroundCounted(stages: RunConfig["stages"], costs: readonly StepCost[], length: number, unit: Unit): number[] {
  const steps = stages.map((stage) => stage.steps ?? 0);
  const open = stages.findIndex((stage) => stage.steps === undefined);
  const left = costs.reduce((rest, cost, index) => rest - steps[index]! * cost[unit], length);
  steps[open] = Math.round(left / costs[open]![unit]);
  if (steps[open]! < 1) throw tooShort(open, unit, costs[open]!, Math.max(0, left), length);
  return steps;
}

/** The unit of the config's shares, which all have the same. */
function unitOfShares(stages: RunConfig["stages"]): Unit {
  return stages.find(({ of }) => of !== undefined)?.of ?? "tokens";
}

function shareOfEach(stages: RunConfig["stages"]): number[] {
  const given = stages.reduce((sum, { fraction }) => sum + (fraction ?? 0), 0);
  return stages.map(({ fraction }) => fraction ?? 1 - given);
}

function lengthOf(train: RunConfig["train"], available: number): [number, Unit] {
  if (train.tokens !== undefined) return [train.tokens, "tokens"];
  if (train.epochs !== undefined) return [Math.round(train.epochs * available), "tokens"];
  return train.steps !== undefined ? [train.steps, "steps"] : [train.flops!, "flops"];
}

/** How much the stages share out in their unit if together they are `length` long in another. */
function converted(length: number, shares: readonly number[], costs: readonly StepCost[], from: Unit, to: Unit) {
  return length / shares.reduce((sum, share, index) => sum + (share * costs[index]![from]) / costs[index]![to], 0);
}

function tooShort(index: number, unit: Unit, cost: StepCost, share: number, total: number): ConfigError {
  const amount = (value: number) => String(unit === "tokens" ? Math.round(value) : Number(value.toPrecision(4)));
  const name = unit === "flops" ? "FLOPs" : unit;
  const step = unit === "steps" ? "one step" : `one step of ${amount(cost[unit])} ${name}`;
  return new ConfigError(
    `stages[${index}]: expected a share of at least ${step} but received ${amount(share)} ${name} of ${amount(total)}`,
  );
}
