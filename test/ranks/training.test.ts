/** Training by two ranks: the losses of one, the bytes that they send, beside which computing, the memory that they share. */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { expect, it } from "@jest/globals";
import { readMetrics } from "../../lib/report/metrics.js";
import { madeModel, writeMadeData } from "../support/made_run.js";
import { describeRanks } from "../support/ranks.js";
import { hashOf, type TrainedRank, trainRanks } from "../support/ranks_training.js";
import { temporaryFolder } from "../support/temporary.js";

/** Several buckets, of one layer each. */
const bucketParameters = 30_000;

const bytesOf = ({ planned }: TrainedRank, name: string) => planned.find((item) => item.name.startsWith(name))!.bytes;

const path = temporaryFolder();

describeRanks("training by two ranks", () => {
  it("has one rank's losses, and sends what ZeRO must", async () => {
    const folder = path();
    await writeMadeData(folder);
    // Without a micro-batch of their own, ranks would have one of another size than a process alone.
    const batch = { positionsPerStep: 24 * 32, sequenceLength: 32, microBatch: 4 };
    const model = { ...madeModel, num_hidden_layers: 6 };
    const changes = (out: string, parallel: object) => {
      const shared = { bucketParameters, ...parallel };
      return { out: path(out), model, precision: "bf16", batch, train: { steps: 6 }, parallel: shared };
    };
    const [alone] = await trainRanks(0, folder, changes("one", {}));
    const first = await trainRanks(2, folder, changes("two", {}));
    await trainRanks(2, folder, changes("apart", { overlap: false }));
    const second = await trainRanks(2, folder, changes("zero", { zero: 2 }));
    for (const { lines } of [...first, ...second]) {
      expect(lines).toHaveLength(6);
      lines.forEach((line, index) => {
        const { loss, gradNorm, valLoss } = alone!.lines[index]!;
        expect(Math.abs(line.loss / loss - 1)).toBeLessThan(1e-4);
        expect(Math.abs(line.gradNorm / gradNorm - 1)).toBeLessThan(1e-2);
        if (valLoss !== undefined) expect(Math.abs(line.valLoss! / valLoss - 1)).toBeLessThan(1e-4);
      });
    }
    expect(first[1]!.lines).toEqual(first[0]!.lines);
    expect(hashOf(path("apart"), "model/model.safetensors")).toBe(hashOf(path("two"), "model/model.safetensors"));

    const { parameters, buckets } = first[0]!;
    expect(buckets).toBeGreaterThan(6);
    // Half of the gradient in f32, half of the weights in bf16; norms of buckets, the loss, what is wished, and times.
    const small = 4 * buckets + 4 + 8;
    const [gradient, weights] = [(4 * parameters) / 2, (2 * parameters) / 2];
    // The fifth step has no evaluation, and no checkpoint before it. A rank has 3 micro-batches.
    for (const { sent } of first) expect(sent[4]).toBe(gradient + weights + small);
    for (const { sent } of second) expect(sent[4]).toBe(3 * gradient + weights + small);

    for (const name of ["AdamW moments", "master weights"]) {
      expect(bytesOf(first[0]!, name) / bytesOf(alone!, name)).toBeCloseTo(0.5, 2);
    }
    expect(bytesOf(first[0]!, "gradients") / bytesOf(alone!, "gradients")).toBeCloseTo(1, 2);
    // A half, two layers, and the head or the embedding.
    const [own, all] = [second[0]!, alone!].map((rank) => bytesOf(rank, "gradients"));
    expect(own! / all!).toBeCloseTo(1 / 2 + 2 / 6, 1);

    const [, ...calls] = first[0]!.calls; // the first one is of what the ranks wish
    // All weights are on their way before the first product, and waited for one group after another.
    expect(calls.slice(0, buckets)).toEqual(Array(buckets).fill("allGather beside"));
    const begun = calls.indexOf("reduceScatter beside");
    const forward = calls.slice(buckets, begun);
    expect(forward.filter((call) => call === "awaitRanks").length).toBeGreaterThan(6);
    // Gradients are on their way while those of the layers before are computed, and waited for behind the last product.
    const backward = calls.slice(begun, calls.indexOf("awaitRanks", begun));
    expect(backward.filter((call) => call === "matmul")).toHaveLength(6 * 8);

    const lines = await readMetrics(path("two/metrics.jsonl"));
    expect(lines.at(-1)!.time!.communication).toBeGreaterThan(0);
    expect([0, 1]).toContain(lines.at(-1)!.slowest!.rank);
    expect(lines.at(-1)!.slowest!.behind).toBeGreaterThan(0);
    const html = readFileSync(path("two/report.html"), "utf8");
    expect(html.split(`<td data-name="Host">${hostname()}</td>`)).toHaveLength(1 + 2);
    const ofOne = await readMetrics(path("one/metrics.jsonl"));
    expect(ofOne.some((line) => "slowest" in line || "communication" in line.time!)).toBe(false);
  });
});
