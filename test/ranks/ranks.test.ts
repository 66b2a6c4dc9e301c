/** Two ranks by `mpirun`: what the operations compute, refuse and move, and how ranks end. */
import { expect, it } from "@jest/globals";
import { describeRanks, runRanks } from "../support/ranks.js";

describeRanks("ranks", () => {
  it("sum and gather right, and move what they must", async () => {
    const { code, errors, reports } = await runRanks(2, "sums.mjs");
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    expect(reports).toMatchObject([{ wrong: [] }, { wrong: [] }]);
  });

  it("sum in the order of the ranks, with the same bits twice", async () => {
    const first = await runRanks(3, "sums.mjs");
    expect(first.reports).toMatchObject([{ wrong: [] }, { wrong: [] }, { wrong: [] }]);
    expect((await runRanks(3, "sums.mjs")).reports).toEqual(first.reports);
  });

  it("refuse wrong calls, by errors on all ranks where one's call is another, and go on", async () => {
    const { code, errors, reports } = await runRanks(2, "errors.mjs");
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    const apart = expect.stringContaining("RangeError: reduceScatter: out: expected memory apart from that of input");
    const blocks = (of: string) => `expected 2 times the elements of ${of}, a block for each rank but received`;
    for (const [rank, report] of reports.entries()) {
      const calls = (own: string, another: string) =>
        "expected the same call on all ranks but received " +
        `Ranks.${own} bytes on rank ${rank} and Ranks.${another} bytes on rank ${1 - rank}`;
      const ordered = (first: string, second: string) => (rank === 0 ? calls(first, second) : calls(second, first));
      expect(report).toMatchObject({
        refusals: [
          `RangeError: reduceScatter: input: ${blocks("out")} [9]`,
          "TypeError: reduceScatter: out: expected dtype f32 but received bf16",
          "TypeError: reduceScatter: input: expected dtype f32 but received i32",
          apart,
          apart,
          `RangeError: allGather: out: ${blocks("input")} [7]`,
          "TypeError: allGather: input: expected dtype f32, that of out but received bf16",
          "TypeError: allReduce: values: expected dtype f32 but received bf16",
          expect.stringMatching(/^DeviceError: allReduce: device: expected one that has joined \(Ranks\.join\)/),
          "TypeError: allReduce: values: expected a Tensor but received null",
          expect.stringMatching(
            /^RangeError: awaitRanks: left: expected a whole number from 0 to \d+ but received -1$/,
          ),
          expect.stringMatching(/^DeviceError: awaitRanks: device: expected one that has joined \(Ranks\.join\)/),
          expect.stringMatching(/^TypeError: joinRanks: device: expected a Device but received/),
          "RangeError: joinRanks: engine: expected openmpi or mpich but received nccl",
          "RangeError: meetRanks: rank: expected a whole number from 0 to 1 but received 2",
          "TypeError: meetRanks: address: expected a string but received null",
        ],
        mismatches: [
          `DeviceError: Ranks.allReduce: ${ordered("allReduce of 16", "allReduce of 20")}`,
          `DeviceError: Ranks.${rank === 0 ? "allReduce" : "reduceScatter"}: ${ordered("allReduce of 16", "reduceScatter of 32")}`,
          `DeviceError: Ranks.allGather: ${ordered("allGather of 8", "allGather of 16")}`,
        ],
        again: [rank, 2],
        second: expect.stringMatching(/^DeviceError: Ranks\.join: (Open MPI|MPICH) [\d.]+: MPI was already started/),
        after: 3,
      });
    }
  });

  it("compute beside what waits for another rank", async () => {
    const { code, errors, reports } = await runRanks(2, "beside.mjs");
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    const [{ computed, waited, first, freed }] = reports as [
      { computed: number; waited: number; first: number; freed: boolean[] },
    ];
    expect({ first, freed }).toEqual({ first: 1, freed: [false, true] });
    expect(computed).toBeLessThan(waited);
  });

  it("refuse a port that is none", async () => {
    const { code, errors } = await runRanks(2, "sums.mjs", [], { NEXTPATCH_PORT: "80000" });
    expect(code).toBeGreaterThan(0);
    expect(errors).toContain("Ranks.join: NEXTPATCH_PORT: expected a port from 0 to 65535 but received 80000");
  });

  it("leave the event loop free while they wait", async () => {
    const { code, reports } = await runRanks(2, "ends.mjs", ["ticks"]);
    expect(code).toBe(0);
    expect(reports[0]).toBeGreaterThan(20);
  });

  it("leave together, and have no operations after it", async () => {
    const { code, errors, reports } = await runRanks(2, "ends.mjs", ["left"]);
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    const after = expect.stringMatching(/^DeviceError: allReduce: device: .* which has not, or has left$/);
    expect(reports).toEqual([after, after]);
  });

  it.each([
    ["killed", /signal 9/],
    // By rank 1, or by rank 0, which such an operation may still reach.
    ["pending", /rank 1(: the process ended with operations on all ranks in its queue| goes on with Ranks\.allReduce)/],
  ])("all end, with an exit code of failure, where one %s", async (how, reason) => {
    const { code, output, errors, seconds } = await runRanks(2, "ends.mjs", [how]);
    expect(code).toBeGreaterThan(0);
    expect(output + errors).toMatch(reason); // MPICH's launcher tells by the former
    expect(seconds).toBeLessThan(20);
  });
});
