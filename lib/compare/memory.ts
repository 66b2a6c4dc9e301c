import { existsSync } from "node:fs";
import { join } from "node:path";
import { Device, type DeviceSpec } from "../device.js";
import type { RankShare } from "../nn/sharding.js";
import { shortage } from "../train/plan_fit.js";
import { closeRunData, openRunData } from "../train/run_data.js";
import { planConfig } from "../train/run_plan.js";
import type { Arm } from "./arm.js";

/**
 * Holds the memory plan of every arm that has something left to train against what is free, so that none is refused hours
 * later, behind the others. Runs of other seeds, and those that a tuning adds, take what their arm takes.
 * @param share which of several ranks this is
 * @throws OutOfMemoryError naming the arm; ConfigError if the ranks cannot share its steps
 */
export async function checkMemory(arms: readonly Arm[], share: RankShare): Promise<void> {
  const left = arms.filter(({ runs }) => !runs.every(({ config }) => existsSync(join(config.out, "model"))));
  for (const { label, config } of left) {
    const device = Device.open(config.device as DeviceSpec);
    const data = await openRunData(config);
    const planned = await planConfig(config, device, data, { share }).finally(() => closeRunData(data));
    const lack = shortage(device, planned, `memory plan of ${label}`);
    if (lack !== null) throw lack;
  }
}
