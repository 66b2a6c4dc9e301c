/** What takes longer: four ranks, joining by the public API, the example, and the rest of how ranks end. */
import { hostname } from "node:os";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { native } from "../../lib/native.js";
import { describeRanks, launch, runRanks } from "../support/ranks.js";

describeRanks("four ranks", () => {
  it("sum in their order, with the same bits twice", async () => {
    const first = await runRanks(4, "sums.mjs");
    expect(first).toMatchObject({ code: 0, errors: "" });
    expect(first.reports).toHaveLength(4);
    for (const report of first.reports) expect(report).toMatchObject({ wrong: [] });
    expect((await runRanks(4, "sums.mjs")).reports).toEqual(first.reports);
  });

  it("wait for one that ends late", async () => {
    expect(await runRanks(4, "ends.mjs", ["late"])).toMatchObject({ code: 0, errors: "" });
  });

  it.each([
    ["throws", /on purpose/],
    [
      "exits",
      /rank 1 ends, or has called Ranks\.leave, but rank \d goes on with Ranks\.allReduce of 4 bytes: expected all/,
    ],
  ])("all end, with an exit code of failure, where one %s", async (how, reason) => {
    const { code, errors, seconds } = await runRanks(4, "ends.mjs", [how]);
    expect(code).toBeGreaterThan(0);
    expect(errors).toMatch(reason);
    expect(seconds).toBeLessThan(20);
  });
});

const simulated = native.backends().some(({ name, available }) => name === "simt" && available);
const describeSimulated = simulated ? describeRanks : describe.skip;

describeSimulated("two ranks on simt", () => {
  // Kernels and collectives that run only when somebody waits, and graphs in another order.
  it.each([{}, { NEXTPATCH_SIMT_LATE: "1" }, { NEXTPATCH_SIMT_SCHEDULE: "reverse" }])(
    "have cpu's bits: %o",
    async (env) => {
      const found = await runRanks(2, "sums.mjs", [], { NEXTPATCH_TEST_DEVICE: "simt", ...env });
      expect(found).toMatchObject({ code: 0, errors: "" });
      expect(found.reports).toEqual((await runRanks(2, "sums.mjs")).reports);
    },
  );

  it("refuse a call of one that is another, and go on", async () => {
    const { code, reports } = await runRanks(2, "errors.mjs", [], { NEXTPATCH_TEST_DEVICE: "simt" });
    expect(code).toBe(0);
    const differs = expect.stringContaining("expected the same call on all ranks but received");
    for (const report of reports) expect(report).toMatchObject({ mismatches: [differs, differs, differs], after: 3 });
  });
});

describeRanks("Ranks.join", () => {
  const join = async (device: string, options: object, env: NodeJS.ProcessEnv = {}) => {
    const { code, errors, reports } = await runRanks(0, "join.ts", [device, JSON.stringify(options)], env);
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    return reports[0];
  };

  it("is the only rank without a launcher", async () => {
    expect(await join("cpu", {})).toEqual({
      rank: 0,
      size: 1,
      host: hostname(),
      engine: "openmpi",
      library: expect.stringMatching(/^Open MPI \d+\.\d+\.\d+$/),
      bytes: 0,
      sums: [1, 2, 3],
      refused: expect.stringMatching(/^RangeError: Ranks\.allGather: out: expected 1 times the elements of input/),
    });
  });

  it.each([
    { WORLD_SIZE: "4", RANK: "1" },
    { SLURM_STEP_NUM_TASKS: "4", SLURM_PROCID: "1" },
    { PMI_SIZE: "4", PMI_RANK: "1" },
  ])("refuses to be the only rank of several: %o", async (variables) => {
    const [variable] = Object.keys(variables);
    // Open MPI itself fails where Slurm's variables are set and no Slurm is, but for these two.
    const error = await join("cpu", { engine: "openmpi" }, variables);
    expect(error).toMatch(
      new RegExp(
        `^DeviceError: Ranks\\.join: ${variable}: expected 4 ranks but received 1 from Open MPI [\\d.]+, which`,
      ),
    );
  });

  it("refuses another engine, and takes the simulated device", async () => {
    expect(await join("cpu", { engine: "nccl" })).toBe(
      "DeviceError: Ranks.join: engine: expected openmpi or mpich for cpu:0 but received nccl",
    );
    expect(await join("cpu", { engine: "gloo" })).toMatch(
      /^RangeError: Ranks\.join: engine: expected openmpi, mpich or nccl but received/,
    );
    if (simulated) expect(await join("simt", {})).toMatchObject({ size: 1, sums: [1, 2, 3] });
  });
});

describeRanks("examples/data_parallel.ts", () => {
  const example = fileURLToPath(new URL("../../examples/data_parallel.ts", import.meta.url));
  const losses = async (count: number): Promise<number[]> => {
    const { code, output, errors } = await launch(count, [process.execPath, "--import", "tsx", example]);
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    return [...output.matchAll(/^step \d+: ([\d.]+)$/gm)].map(([, loss]) => Number(loss));
  };

  it("has the losses of one rank on two and three", async () => {
    const one = await losses(0);
    expect(one).toHaveLength(20);
    expect(one.at(-1)).toBeLessThan(one[0]! / 2);
    for (const count of [2, 3]) {
      const several = await losses(count);
      expect(several).toHaveLength(20);
      // Of sums in another order, in fp32.
      for (const [step, loss] of several.entries()) expect(Math.abs(loss - one[step]!)).toBeLessThan(1e-4);
    }
  });
});

for (const engine of ["openmpi", "mpich"] as const) {
  const env = { NEXTPATCH_TEST_ENGINE: engine };
  const runs = () => {
    it("leaves V8's signals to it", async () => {
      const { code, reports } = await runRanks(2, "signals.mjs", [], env);
      expect(code).toBe(0);
      const error = "RuntimeError: memory access out of bounds";
      expect(reports).toEqual([error, error]);
    });
  };
  describeRanks(engine, runs, engine);
}

const onMpich = () => {
  const env = { NEXTPATCH_TEST_ENGINE: "mpich" };

  it("has the bits of Open MPI", async () => {
    const found = await runRanks(4, "sums.mjs", [], env);
    expect(found).toMatchObject({ code: 0, errors: "" });
    expect(found.reports).toEqual((await runRanks(4, "sums.mjs")).reports);
  });

  it("ends all ranks where one is killed", async () => {
    const { code, seconds } = await runRanks(2, "ends.mjs", ["killed"], env);
    expect(code).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(20);
  });

  it("is joined where its launcher started the process, and no other is named", async () => {
    const { reports } = await runRanks(1, "join.ts", ["cpu", "{}"], env);
    expect(reports).toMatchObject([{ rank: 0, size: 1, engine: "mpich", sums: [1, 2, 3] }]);
  });
};
describeRanks("MPICH", onMpich, "mpich");
