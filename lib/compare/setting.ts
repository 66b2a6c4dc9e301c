/** What tuning chooses for an arm: its learning rate and the type of its schedule. */
import type { OptimizerConfig, RunConfig } from "../config/config.js";
import type { ScheduleType } from "../config/schedule.js";
import { ConfigError } from "../errors.js";

/** What an arm is trained with instead of the config's own values; what is absent is the config's. */
export interface Setting {
  /** Of Muon, if that is the optimizer: it trains most of the weights. */
  readonly lr?: number;
  readonly schedule?: ScheduleType;
}

/** What tuning chose for each arm, by its key: `baseline`, and the methods'. */
export type Settings = ReadonlyMap<string, Setting>;

/** The rate that tuning chooses: Muon's, if that is the optimizer, else AdamW's. */
export function rateOf({ lr, muon }: OptimizerConfig): number {
  return muon?.lr ?? lr;
}

const withRate = (optimizer: OptimizerConfig, lr: number): OptimizerConfig =>
  optimizer.muon ? { ...optimizer, muon: { ...optimizer.muon, lr } } : { ...optimizer, lr };

/** The changes of a config that a setting makes. */
export function settingChanges(config: RunConfig, { lr, schedule }: Setting) {
  const { decayFraction, ...rest } = config.schedule;
  const type = schedule ?? rest.type;
  return {
    optimizer: lr === undefined ? config.optimizer : withRate(config.optimizer, lr),
    // A part of the schedule that decays is wsd's alone.
    schedule: { ...rest, type, ...(type === "wsd" && decayFraction !== undefined && { decayFraction }) },
  };
}

/** What follows the name of an arm's folder: nothing for the config's own values, so that those runs are found again. */
export function settingSuffix(own: RunConfig, { optimizer, schedule }: RunConfig): string {
  const lr = rateOf(optimizer) === rateOf(own.optimizer) ? "" : `-lr${rateOf(optimizer)}`;
  return schedule.type === own.schedule.type ? lr : `${lr}-${schedule.type}`;
}

/** Rejects stages whose own keys would leave a setting without effect there. @throws ConfigError */
export function checkTunable(
  { optimizer, stages }: RunConfig,
  tuned: { readonly lr?: unknown; readonly schedule?: unknown },
): void {
  for (const [index, stage] of stages.entries()) {
    const rate = optimizer.muon ? stage.optimizer?.muon?.lr : stage.optimizer?.lr;
    const own = [
      ...(tuned.lr !== undefined && rate !== undefined ? [optimizer.muon ? "optimizer.muon.lr" : "optimizer.lr"] : []),
      ...(tuned.schedule !== undefined && stage.schedule?.type !== undefined ? ["schedule.type"] : []),
    ];
    for (const key of own) {
      throw new ConfigError(`stages[${index}].${key}: expected none, as tuning chooses it, but received one`);
    }
  }
}
