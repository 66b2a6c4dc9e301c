/** The arms of a sweep: the first method with other patch sizes and fractions. */

import { leastCommonMultiple } from "../config/divisors.js";
import { ConfigError } from "../errors.js";
import type { Common } from "./arm.js";
import { deriveConfig } from "./derive.js";
import { type Methods, makeStagedArm, type StagedArm } from "./methods.js";
import { settingSuffix } from "./setting.js";
import { stagesLabel } from "./stage_shares.js";
import { combinations, type Sweep } from "./sweep.js";

/**
 * An arm for every combination, on the tokens of the first method's run, or at its FLOPs if that is at equal cost.
 * @throws ConfigError if it has more than two stages, or a combination cannot run
 */
export function sweepArms(common: Common, { baseline, methods }: Methods, sweep: Sweep): StagedArm[] {
  const { key, run, equalCost } = methods[0]!;
  const { config } = run;
  const [first, second, ...others] = config.stages;
  if (others.length > 0) {
    const received = config.stages.map(({ patchSize }) => patchSize).join(", then ");
    throw new ConfigError(`stages: expected two for a sweep but received patchSize ${received}`);
  }
  const { fraction: _fraction, of: _of, ...last } = second!;
  return combinations(sweep, run).map((point) => {
    if (point.patchSize === run.patchSize && point.fraction === run.fraction) return run;
    const block = point.patchSize * (first!.batch?.sequenceLength ?? config.batch.sequenceLength);
    const stages = [{ ...first, ...point }, last];
    const changes = {
      stages,
      ...(run !== equalCost && { train: { tokens: run.tokens } }),
      data: { ...config.data, shuffleTokens: leastCommonMultiple(baseline.config.data.shuffleTokens!, block) },
    };
    const [before, folder] = key === "patch" ? ["", ""] : [`${key}, `, `${key}-`];
    const label = `${before}${stagesLabel(stages)}`;
    return makeStagedArm(common, {
      label,
      folder: `sweep/${folder}k${point.patchSize}-fraction${point.fraction}${settingSuffix(common.config, config)}`,
      config: deriveConfig(config, changes, label),
    });
  });
}
