/** Training by two ranks on simt: what the kernels for CUDA compute, recorded and launched as a graph, or one by one. */
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

describeSimt("training by two ranks on simt", () => {
  it.each(["fp32", "bf16"])("has one rank's losses in %s, and the same bits without graphs", async (precision) => {
    await writeMadeData(path());
    const changes = (out: string) => ({
      out: path(out),
      device: "simt",
      precision,
      batch: { positionsPerStep: 4 * 8, sequenceLength: 8 },
      train: { steps: 6 },
      eval: { everySteps: 3, sequences: 3 },
      parallel: { bucketParameters: 30_000 },
    });
    const [alone] = await trainRanks(0, path(), changes("one"));
    const trained = await trainRanks(2, path(), changes("two"));
    await trainRanks(2, path(), changes("eager"), {}, { NEXTPATCH_GRAPHS: "0" });
    for (const { lines } of trained) {
      lines.forEach(({ loss }, index) => {
        expect(Math.abs(loss / alone!.lines[index]!.loss - 1)).toBeLessThan(precision === "fp32" ? 1e-6 : 1e-3);
      });
    }
    const weights = (name: string) => hashOf(path(name), "model/model.safetensors");
    expect(weights("eager")).toBe(weights("two"));
    expect(trained[0]!.sent.every((bytes) => bytes > 0)).toBe(true);
  });
});
