/** Two ranks by `mpirun`: what the operations compute, refuse and move, and how ranks end. */
import { expect, it } from "@jest/globals";
import { describeRanks, runRanks } from "../support/ranks.js";

describeRanks("two ranks", () => {
  it("sum and gather right, in the order of the ranks, move what they must, and have the same bits twice", async () => {
    const first = await runRanks(2, "sums");
    expect(first).toMatchObject({ code: 0, errors: "" });
    expect(first.reports).toMatchObject([{ wrong: [] }, { wrong: [] }]);
    const second = await runRanks(2, "sums");
    expect(second.reports).toEqual(first.reports);
  });

  it("refuse wrong calls, by errors on all ranks where one's call is another, and go on", async () => {
    const { code, errors, reports } = await runRanks(2, "errors");
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    const apart = "RangeError: reduceScatter: out: expected memory apart from that of input";
    for (const [rank, report] of reports.entries()) {
      const other = 1 - rank;
      const calls = (own: string, another: string) =>
        `expected the same call on all ranks but received ${own} on rank ${rank} and ${another} on rank ${other}`;
      const [sixteen, twenty] = rank === 0 ? ["16", "20"] : ["20", "16"];
      const all = ["Ranks.allReduce of 16 bytes", "Ranks.reduceScatter of 32 bytes"];
      const [own, another] = rank === 0 ? all : all.toReversed();
      expect(report).toMatchObject({
        refusals: [
          "RangeError: reduceScatter: input: expected 2 times the elements of out, a block for each rank but received [9]",
          "TypeError: reduceScatter: out: expected dtype f32 but received bf16",
          "TypeError: reduceScatter: input: expected dtype f32 but received i32",
          expect.stringContaining(apart),
          expect.stringContaining(apart),
          "RangeError: allGather: out: expected 2 times the elements of input, a block for each rank but received [7]",
          "TypeError: allGather: input: expected dtype f32, that of out but received bf16",
          "TypeError: allReduce: values: expected dtype f32 but received bf16",
          expect.stringMatching(/^DeviceError: allReduce: device: expected one that has joined \(Ranks\.join\) but received cpu:0/),
          "TypeError: allReduce: values: expected a Tensor but received null",
          expect.stringMatching(/^TypeError: joinRanks: device: expected a Device but received/),
          'RangeError: joinRanks: engine: expected openmpi or mpich but received the string "nccl"',
        ],
        mismatches: [
          `DeviceError: Ranks.allReduce: ${calls(`Ranks.allReduce of ${sixteen} bytes`, `Ranks.allReduce of ${twenty} bytes`)}`,
          `DeviceError: ${own!.replace(/ .*/, "")}: ${calls(own!, another!)}`,
        ],
        again: [rank, 2],
        second: expect.stringMatching(/^DeviceError: Ranks\.join: Open MPI [\d.]+: MPI was already started/),
        after: 3,
      });
    }
  });

  it("leave the event loop free while they wait", async () => {
    const { code, reports } = await runRanks(2, "ends", ["ticks"]);
    expect(code).toBe(0);
    expect(reports[0]).toBeGreaterThan(20);
  });

  it.each(["late", "left"])("end together: %s", async (how) => {
    const ended = await runRanks(2, "ends", [how]);
    expect(ended).toMatchObject({ code: 0, errors: "" });
    if (how !== "left") return;
    for (const after of ended.reports) {
      expect(after).toMatch(/^DeviceError: allReduce: device: expected one that has joined .* which has not, or has left$/);
    }
  });

  it.each([
    ["killed", /signal 9 \(Killed\)/],
    ["throws", /on purpose/],
    ["exits", /expected the same call on all ranks but received .*Ranks\.leave/],
    ["pending", /nextpatch: the process ended with operations on all ranks in its queue/],
  ])("all end, with an exit code of failure, where one %s", async (how, reason) => {
    const { code, errors, seconds } = await runRanks(2, "ends", [how]);
    expect(code).not.toBe(0);
    expect(code).not.toBeNull();
    expect(errors).toMatch(reason);
    expect(seconds).toBeLessThan(15);
  });
});
