/** Ranks that miss another: all end, soon, with one line. The limit of silence is smaller than a user's. */
import { expect, it } from "@jest/globals";
import { loseRank, lossLine } from "../support/lost_ranks.js";
import { describeRanks } from "../support/ranks.js";
import { temporaryFolder } from "../support/temporary.js";

const folder = temporaryFolder();

describeRanks("ranks that miss another", () => {
  it("end at once where it is killed", async () => {
    const { code, lines, seconds } = await loseRank(1, "wait", folder, (pid) => process.kill(pid, "SIGKILL"));
    expect(lines).toEqual(lossLine("rank 1 on \\S+ was lost: its connection was closed"));
    expect(code).toBeGreaterThan(0);
    // Open MPI's launcher takes a second to see its processes end.
    expect(seconds).toBeLessThan(4);
  });

  it("end where it is silent, also if it is rank 0", async () => {
    const stop = (pid: number) => process.kill(pid, "SIGSTOP");
    const { code, lines } = await loseRank(0, "wait", folder, stop, { NEXTPATCH_SILENCE: "1" });
    expect(lines).toEqual(lossLine("rank 0 on \\S+ was silent for 1 s"));
    expect(code).toBeGreaterThan(0);
  });
});
