/** The arms of a sweep: the first method with other patch sizes and fractions. */
import type { Common } from "./arm.js";
import { deriveConfig } from "./derive.js";
import { leastCommonMultiple } from "./least_common_multiple.js";
import { makeStagedArm, type Methods, type StagedArm } from "./methods.js";
import { settingSuffix } from "./setting.js";
import { combinations, type Sweep } from "./sweep.js";

/** An arm for every combination, on the tokens of the first method's run, or at its FLOPs if that is at equal cost. */
export function sweepArms(common: Common, { baseline, methods }: Methods, sweep: Sweep): StagedArm[] {
  const { key, run, equalCost } = methods[0]!;
  const { config } = run;
  const [first, ...others] = config.stages;
  const { fraction: _, ...last } = others.pop()!;
  return combinations(sweep, run).map((point) => {
    if (point.patchSize === run.patchSize && point.fraction === run.fraction) return run;
    const block = point.patchSize * (first!.batch?.sequenceLength ?? config.batch.sequenceLength);
    const shuffleTokens = leastCommonMultiple(baseline.config.data.shuffleTokens!, block);
    const changes = {
      stages: [{ ...first, ...point }, ...others, last],
      ...(run !== equalCost && { train: { tokens: run.tokens } }),
      data: { ...config.data, shuffleTokens },
    };
    const [label, folder] = key === "patch" ? ["", ""] : [`${key}, `, `${key}-`];
    const name = `${label}K = ${point.patchSize}, fraction ${point.fraction}`;
    return makeStagedArm(common, {
      label: name,
      folder: `sweep/${folder}k${point.patchSize}-fraction${point.fraction}${settingSuffix(common.config, config)}`,
      config: deriveConfig(config, changes, name),
    });
  });
}
