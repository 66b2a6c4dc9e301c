/**
 * Training by two ranks on simt: what the kernels for CUDA compute, recorded with what the ranks exchange beside it and
 * launched as a graph, in several orders that the graph allows, or one by one.
 */
import { describe, expect, it } from "@jest/globals";
import { native } from "../../lib/native.js";
import { writeMadeData } from "../support/made_run.js";
import { describeRanks } from "../support/ranks.js";
import { hashOf, trainRanks } from "../support/ranks_training.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
const describeSimt = native.backends().some(({ name, available }) => name === "simt" && available)
  ? describeRanks
  : describe.skip;

const eager = { NEXTPATCH_GRAPHS: "0" };

describeSimt("training by two ranks on simt", () => {
  it.each([
    { precision: "fp32", zero: 1 },
    { precision: "bf16", zero: 1 },
    { precision: "bf16", zero: 2 },
  ])(
    "has one rank's losses in $precision, and the same bits in any order, ZeRO-$zero",
    async ({ precision, zero }) => {
      await writeMadeData(path());
      const changes = (out: string, overlap = true) => ({
        out: path(out),
        device: "simt",
        precision,
        batch: { positionsPerStep: 8 * 8, sequenceLength: 8, microBatch: 2 },
        train: { steps: 4 },
        eval: { everySteps: 2, sequences: 3 },
        parallel: { bucketParameters: 30_000, zero, overlap },
      });
      const [alone] = await trainRanks(0, path(), changes("one"));
      const trained = await trainRanks(2, path(), changes("two"));
      for (const { lines } of trained) {
        lines.forEach(({ loss }, index) => {
          expect(Math.abs(loss / alone!.lines[index]!.loss - 1)).toBeLessThan(precision === "fp32" ? 1e-6 : 1e-3);
        });
      }
      expect(trained[0]!.sent.every((bytes) => bytes > 0)).toBe(true);
      const weights = (name: string) => hashOf(path(name), "model/model.safetensors");
      await trainRanks(2, path(), changes("apart", false), {}, eager);
      expect(weights("apart")).toBe(weights("two"));
      if (precision === "fp32") return;
      await trainRanks(2, path(), changes("random"), {}, { NEXTPATCH_SIMT_SCHEDULE: "random:1" });
      // What the computing has not waited for has not been done.
      await trainRanks(2, path(), changes("late"), {}, { ...eager, NEXTPATCH_SIMT_LATE: "1" });
      for (const name of ["random", "late"]) expect(weights(name)).toBe(weights("two"));
      // Two ranks that wait for each other are slow where others compute, too.
    },
    300_000,
  );
});
