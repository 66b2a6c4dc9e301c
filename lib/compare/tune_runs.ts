/** The runs that an arm is tuned by: shorter ones, each with its own rate and schedule. */
import type { ScheduleType } from "../config/schedule.js";
import { type Arm, type ArmRun, type Common, makeArm } from "./arm.js";
import { deriveConfig } from "./derive.js";
import { baselineKey, type Methods } from "./methods.js";
import { checkTunable, rateOf, type Setting, settingChanges } from "./setting.js";
import { coveredShare } from "./stage_shares.js";
import { defaultTuneShare, type Tune } from "./tune_grid.js";

/** The tuning of an arm. */
export interface ArmTuning {
  /** `baseline`, or a method's. */
  readonly key: string;
  readonly label: string;
  readonly rates: readonly number[];
  readonly schedules: readonly ScheduleType[];
  /** A run with this setting. */
  readonly run: (setting: Required<Setting>) => ArmRun;
  /** The runs of the grid. */
  readonly grid: readonly ArmRun[];
}

/**
 * Plans the tuning of every arm: everything that can be wrong with it is reported here, before anything runs. A method
 * is tuned at equal cost if that is planned, so that all arms have the same FLOPs to be tuned with.
 * @throws ConfigError
 */
export function planTuning(common: Common, { baseline, methods }: Methods, tune: Tune): ArmTuning[] {
  const { config } = common;
  const rates = [...new Set(tune.lr ?? [rateOf(config.optimizer)])];
  const schedules = [...new Set(tune.schedule ?? [config.schedule.type])];
  const share = tune.share ?? defaultTuneShare;
  const tuning = (key: string, label: string, arm: Arm): ArmTuning => {
    checkTunable(arm.config, tune);
    const run = (setting: Required<Setting>) => tuningRun(common, `tune/${key}`, arm, share, setting);
    const grid = schedules.flatMap((schedule) => rates.map((lr) => run({ lr, schedule })));
    return { key, label, rates, schedules, run, grid };
  };
  return [
    tuning(baselineKey, baseline.label, baseline),
    ...methods.map(({ key, label, run, equalCost }) => tuning(key, label, equalCost ?? run)),
  ];
}

/** A run as short as a share of the arm's, its warm-up too, with the config's own seed. It is evaluated at its end. */
function tuningRun(common: Common, folder: string, arm: Arm, share: number, setting: Required<Setting>): ArmRun {
  const { seed, init } = common.config;
  const steps = Math.max(1, Math.round(arm.steps * share));
  const { optimizer, schedule } = settingChanges(arm.config, setting);
  const label = `tuning ${arm.label}, lr ${setting.lr}, ${setting.schedule}`;
  const changes = {
    seed,
    ...("seed" in init && { init }),
    optimizer,
    schedule: shortened(schedule, share),
    stages: arm.config.stages.map((stage) => ({
      ...stage,
      ...(stage.schedule && { schedule: shortened(stage.schedule, share) }),
    })),
    train: { steps: Math.round(steps / coveredShare(arm.config.stages)) },
    eval: { ...arm.config.eval!, everySteps: steps },
  };
  const draft = {
    label,
    folder: `${folder}/${steps}-steps-lr${setting.lr}-${setting.schedule}`,
    config: deriveConfig(arm.config, changes, label),
  };
  return makeArm({ ...common, seeds: null }, draft).runs[0]!;
}

function shortened<T extends { readonly warmupSteps?: number }>(schedule: T, share: number): T {
  const { warmupSteps } = schedule;
  return warmupSteps === undefined ? schedule : { ...schedule, warmupSteps: Math.round(warmupSteps * share) };
}
