/** Training by two to four ranks: losses, bits, checkpoints of other numbers of ranks, and how ranks end. */
import { cpSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, it } from "@jest/globals";
import { madeMask, writeMask } from "../support/made_mask.js";
import { madeModel, writeMadeData } from "../support/made_run.js";
import { describeRanks, runRanks } from "../support/ranks.js";
import { hashOf, type TrainedRank, trainRanks } from "../support/ranks_training.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(() => writeMadeData(path()));

/** A step of 24 sequences serves 1, 2, 3, 4 and 8 ranks. */
const made = (name: string, changes: object = {}) => ({
  out: path(name),
  batch: { positionsPerStep: 24 * 32, sequenceLength: 32 },
  train: { steps: 20 },
  stages: [{ patchSize: 4, fraction: 0.5, of: "steps" }, { patchSize: 1 }],
  eval: { everySteps: 5, sequences: 7 },
  parallel: { bucketParameters: 10_000 },
  ...changes,
});

function expectClose(ranks: readonly TrainedRank[], alone: TrainedRank, tolerance: number): void {
  for (const { lines } of ranks) {
    for (const [index, { loss, valLoss }] of lines.entries()) {
      const { loss: other, valLoss: otherVal } = alone.lines.at(index - lines.length)!;
      expect(Math.abs(loss / other - 1)).toBeLessThan(tolerance);
      // Of few positions: what rounding makes of it differs more.
      if (valLoss !== undefined) expect(Math.abs(valLoss / otherVal! - 1)).toBeLessThan(2 * tolerance);
    }
  }
}

describeRanks("training by several ranks", () => {
  it.each([
    { precision: "fp32", tied: false, tolerance: 1e-6 },
    { precision: "bf16", tied: true, tolerance: 1e-4 },
  ])(
    "has one rank's losses in $precision, tied: $tied, and the same bits twice",
    async ({ precision, tied, tolerance }) => {
      const model = { ...madeModel, tie_word_embeddings: tied };
      const of = (name: string) => made(`${precision}-${tied}-${name}`, { precision, model });
      const [alone] = await trainRanks(0, path(), of("1"));
      for (const ranks of [2, 4]) {
        const trained = await trainRanks(ranks, path(), of(String(ranks)));
        expect(trained).toHaveLength(ranks);
        expectClose(trained, alone!, tolerance);
      }
      const zero = { ...of("zero"), parallel: { bucketParameters: 10_000, zero: 2 } };
      expectClose(await trainRanks(4, path(), zero), alone!, tolerance);
      await trainRanks(4, path(), of("again"));
      const model4 = (name: string) => hashOf(of(name).out, "model/model.safetensors");
      expect(model4("again")).toBe(model4("4"));
    },
  );

  it("has one rank's losses where a loss mask leaves one more labels than another", async () => {
    const mask = madeMask(6000, 3);
    // Of some sequences none counts.
    for (let at = 0; at < mask.length; at += 400) mask.fill(0, at, at + 200);
    await writeMask(path("train.bin"), mask);
    await writeMask(path("val.bin"), madeMask(16 * 8, 4));
    const batch = { positionsPerStep: 24 * 32, sequenceLength: 32, microBatch: 2 };
    const of = (name: string) => made(name, { batch, train: { steps: 10 } });
    const [alone] = await trainRanks(0, path(), of("masked-1"));
    expectClose(await trainRanks(3, path(), of("masked-3")), alone!, 1e-6);
  });

  it("is refused where ranks have other data, or another loss mask of it", async () => {
    const by = (...seeds: string[]) => runRanks(2, "memory.ts", [path(), ...seeds]);
    const same = await by("1 3", "1 3");
    expect({ code: same.code, losses: same.reports[0] }).toEqual({ code: 0, losses: same.reports[1] });
    const shard = String.raw`memory of 6000 tokens, SHA-256 \w{12}…`;
    const masked = String.raw`${shard}, with a loss mask, SHA-256 \w{12}…`;
    for (const [other, received] of [
      ["2 3", masked],
      ["1 0", shard],
      ["1 4", masked],
    ] as const) {
      const { code, errors } = await by("1 3", other);
      expect(code).toBe(1);
      const says = `as ${masked} on rank 0, but received ${received} on rank 1$`;
      expect(errors).toMatch(
        new RegExp(`DataError: data\\.train: expected the same shards on all ranks, ${says}`, "m"),
      );
    }
  });

  it("resumes a checkpoint of four ranks with four, two, one and three", async () => {
    const whole = made("whole", { checkpoint: { everySteps: 10, keep: 9 } });
    const trained = await trainRanks(4, path(), whole);
    for (const ranks of [4, 2, 0, 3]) {
      const out = made(`from-${ranks}`, { checkpoint: { everySteps: 10, keep: 9 } });
      cpSync(whole.out, out.out, { recursive: true });
      const [first] = await trainRanks(ranks, path(), out, { resume: true, from: "step-10" });
      expect(first!.lines).toHaveLength(10);
      expectClose([first!], trained[0]!, 1e-6);
      if (ranks === 4) {
        const files = ["model.safetensors", ...readdirSync(join(whole.out, "checkpoints/step-00000020/trainer"))];
        for (const name of files.filter((file) => file.endsWith(".safetensors"))) {
          const path = ["checkpoints/step-00000020", name === "model.safetensors" ? name : `trainer/${name}`];
          expect(hashOf(out.out, ...path)).toBe(hashOf(whole.out, ...path));
        }
      }
    }
    // Gradients of the own part alone, and no copy of what the ranks gather for a checkpoint.
    const parallel = { bucketParameters: 30_000, zero: 2, overlap: false };
    const out = { ...made("from-zero", { checkpoint: { everySteps: 10, keep: 9 } }), parallel };
    cpSync(whole.out, out.out, { recursive: true });
    const env = { NEXTPATCH_TEST_UNCOPIED: "1" };
    expectClose(await trainRanks(3, path(), out, { resume: true, from: "step-10" }, env), trained[0]!, 1e-6);
    const again = { ...out, out: path("again-zero") };
    cpSync(out.out, again.out, { recursive: true });
    await trainRanks(3, path(), again, { resume: true, from: "step-10" });
    for (const name of readdirSync(join(out.out, "checkpoints/step-00000020/trainer"))) {
      if (!name.endsWith(".safetensors")) continue;
      const file = ["checkpoints/step-00000020/trainer", name];
      expect(hashOf(again.out, ...file)).toBe(hashOf(out.out, ...file));
    }
    expect(readdirSync(join(whole.out, "checkpoints"))).toEqual(["step-00000010", "step-00000020"]);
    expect(existsSync(join(whole.out, "run.lock"))).toBe(false);
  });
});
