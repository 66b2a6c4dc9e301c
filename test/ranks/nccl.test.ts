/**
 * Training by ranks that find one another by their environment, as torchrun's do, on simulated devices with an NCCL that
 * checks what it is asked (native/simt/test/nccl).
 */
import { expect, it } from "@jest/globals";
import { lossLine } from "../support/lost_ranks.js";
import { writeMadeData } from "../support/made_run.js";
import { describeNccl, runByNccl } from "../support/nccl.js";
import { hashOf, type TrainedRank, trainRanks } from "../support/ranks_training.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

describeNccl("training by two ranks on NCCL", () => {
  it("has one rank's losses, and the same bits without graphs and without overlap", async () => {
    await writeMadeData(path());
    const changes = (out: string, overlap = true) => ({
      out: path(out),
      device: "simt",
      batch: { positionsPerStep: 4 * 8, sequenceLength: 8 },
      train: { steps: 6 },
      eval: { everySteps: 3, sequences: 3 },
      parallel: { bucketParameters: 30_000, overlap },
    });
    const [alone] = await trainRanks(0, path(), changes("one"));
    const train = async (made: object, env: NodeJS.ProcessEnv = {}) => {
      const ranks = await runByNccl(2, "train.ts", [path(), JSON.stringify(made)], env);
      for (const { code, errors } of ranks) expect({ code, errors }).toEqual({ code: 0, errors: "" });
      return ranks.map(({ report }) => report as TrainedRank);
    };
    const trained = await train(changes("two"));
    await train(changes("eager", false), { NEXTPATCH_GRAPHS: "0" });
    for (const { lines } of trained) {
      lines.forEach(({ loss }, index) => expect(Math.abs(loss / alone!.lines[index]!.loss - 1)).toBeLessThan(1e-6));
    }
    const weights = (name: string) => hashOf(path(name), "model/model.safetensors");
    expect(weights("eager")).toBe(weights("two"));
    // Launched graphs count what they send.
    expect(trained[0]!.sent.every((bytes) => bytes > 0)).toBe(true);
    expect(trained[0]!.sent).toEqual(trained[1]!.sent);
  });
});

describeNccl("ranks on NCCL that miss another", () => {
  const simulated = { NEXTPATCH_TEST_DEVICE: "simt", NEXTPATCH_TEST_ENGINE: "nccl" };

  it.each([
    [
      "could not open it",
      "FAKE_NCCL_VERSION=22600",
      1,
      "expected an answer of rank 1 but received: the connection was closed",
      "NCCL: expected version 2.27 or later but received 2.26.0",
    ],
    ["is lost as it opens it", "FAKE_NCCL_KILLS=1", null, "was lost: its connection was closed; so all ranks end", ""],
    ["fails as it opens it", "NCCL_NVLS_ENABLE=1", 1, "", "Ranks.join: rank 1 of 2"],
  ])("do not wait in NCCL for one that %s", async (_, how, code, first, second) => {
    const ranks = await runByNccl(2, "opening.mjs", [how], simulated);
    expect(ranks.map((rank) => rank.code)).toEqual([1, code]);
    [first, second].forEach((text, rank) => expect(ranks[rank]!.errors).toContain(text));
  });

  it("end where one comes to no operation within the timeout", async () => {
    const limits = { NEXTPATCH_SILENCE: "2", NEXTPATCH_TEST_TIMEOUT: "1" };
    const ranks = await runByNccl(3, "lost.mjs", ["busy", path(), "1"], { ...simulated, ...limits });
    expect(ranks.map(({ code }) => code)).toEqual([1, 1, 1]);
    const lines = ranks.flatMap(({ errors }) => errors.split("\n").filter((line) => line !== ""));
    const where = String.raw`the operation on all ranks that rank [02] on \S+ has waited in for 1 s \(timeout\)`;
    expect(lines).toEqual(lossLine(`rank 1 on \\S+ has not come to ${where}`));
  });
});
