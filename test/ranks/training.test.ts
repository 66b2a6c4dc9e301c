/** Training by two ranks: the losses of one, the bytes that they send, the memory that they share. */
import { expect, it } from "@jest/globals";
import { writeMadeData } from "../support/made_run.js";
import { describeRanks } from "../support/ranks.js";
import { type TrainedRank, trainRanks } from "../support/ranks_training.js";
import { temporaryFolder } from "../support/temporary.js";

/** Several buckets, of which the last is smaller. */
const parallel = { bucketParameters: 30_000 };

const bytesOf = ({ planned }: TrainedRank, name: string) => planned.find((item) => item.name.startsWith(name))!.bytes;

const path = temporaryFolder();

describeRanks("training by two ranks", () => {
  it("has one rank's losses, and sends what ZeRO-1 must", async () => {
    const folder = path();
    await writeMadeData(folder);
    const batch = { positionsPerStep: 24 * 32, sequenceLength: 32 };
    const changes = (out: string) => ({ out: path(out), precision: "bf16", batch, parallel });
    const [alone] = await trainRanks(0, folder, changes("one"));
    const [first, second] = await trainRanks(2, folder, changes("two"));
    for (const rank of [first!, second!]) {
      expect(rank.lines).toHaveLength(12);
      rank.lines.forEach((line, index) => {
        const { loss, gradNorm, valLoss } = alone!.lines[index]!;
        expect(Math.abs(line.loss / loss - 1)).toBeLessThan(1e-4);
        expect(Math.abs(line.gradNorm / gradNorm - 1)).toBeLessThan(1e-2);
        if (valLoss !== undefined) expect(Math.abs(line.valLoss! / valLoss - 1)).toBeLessThan(1e-4);
      });
    }
    expect(second!.lines).toEqual(first!.lines);

    const { parameters, buckets } = first!;
    expect(buckets).toBeGreaterThan(2);
    // Half of the gradient in f32, half of the weights in bf16; norms of buckets, the loss, what is wished and how long it took.
    const small = 4 * buckets + 4 + 8;
    // The fifth step has no evaluation, and no checkpoint before it.
    expect(first!.sent[4]).toBe((4 * parameters) / 2 + (2 * parameters) / 2 + small);
    expect(second!.sent).toEqual(first!.sent);

    for (const name of ["AdamW moments", "master weights"]) {
      expect(bytesOf(first!, name) / bytesOf(alone!, name)).toBeCloseTo(0.5, 2);
    }
    expect(bytesOf(first!, "gradients") / bytesOf(alone!, "gradients")).toBeCloseTo(1, 2);
  });
});
