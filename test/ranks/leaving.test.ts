/** Ranks that leave the loop of `trainer.run()` before its end. */
import { readdirSync } from "node:fs";
import { hostname } from "node:os";
import { beforeEach, expect, it } from "@jest/globals";
import { writeMadeData } from "../support/made_run.js";
import { describeNccl, runByNccl } from "../support/nccl.js";
import { describeRanks, runRanks } from "../support/ranks.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(() => writeMadeData(path()));

const changes = {
  batch: { positionsPerStep: 4 * 8, sequenceLength: 8 },
  train: { steps: 6 },
  eval: { everySteps: 100, sequences: 2 },
};
const args = (made: object, ...how: readonly string[]) => [path(), JSON.stringify({ ...changes, ...made }), ...how];

const leftLine = (who: number, other: number) =>
  `DeviceError: Trainer.run: at step 2 rank ${who} on ${hostname()} left the loop, but rank ${other} on ${hostname()} went on: ` +
  "expected all ranks to leave it after the same step, as by trainer.requestStop()";

describeRanks("ranks that leave the loop", () => {
  it("save a common checkpoint where all do so after the same step, and may go on", async () => {
    const { code, errors, reports } = await runRanks(2, "leaves.ts", args({ out: path("run") }, "break 2", "break 2"));
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    expect(reports).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    expect(readdirSync(path("run/checkpoints"))).toEqual(["step-00000002", "step-00000003"]);
  });

  it.each([
    [0, ["break 2", "on 2"]],
    [1, ["break 3", "break 2"]],
  ] as const)("end where rank %d alone does so, and say which one", async (who, how) => {
    const { code, errors, reports } = await runRanks(2, "leaves.ts", args({ out: path("run") }, ...how));
    expect(code).toBe(1);
    expect(errors.split(leftLine(who, 1 - who))).toHaveLength(2);
    expect(errors.match(/Error: /g)).toHaveLength(1);
    expect(reports).toEqual([]);
  });

  it("end by the error of one's own that one leaves it by", async () => {
    const { code, errors } = await runRanks(2, "leaves.ts", args({ out: path("run") }, "on 2", "throw 2"));
    expect(code).toBe(1);
    expect(errors.match(/^.*Error: .*$/gm)).toEqual(["Error: on purpose"]);
  });
});

describeNccl("ranks on NCCL that leave the loop", () => {
  it("end where one alone does so, and say which one", async () => {
    const ranks = await runByNccl(2, "leaves.ts", args({ out: path("run"), device: "simt" }, "on 2", "break 2"));
    expect(ranks.map(({ code }) => code)).toEqual([1, 1]);
    expect(ranks[0]!.errors).toBe("");
    expect(ranks[1]!.errors).toContain(leftLine(1, 0));
  });
});
