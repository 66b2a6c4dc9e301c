/** What takes longer of ranks that miss another. */
import { writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, it } from "@jest/globals";
import { loseRank, lossLine } from "../support/lost_ranks.js";
import { describeRanks, launch } from "../support/ranks.js";
import { temporaryFolder } from "../support/temporary.js";

const folder = temporaryFolder();

describeRanks("ranks that miss another", () => {
  it("end where it is killed before they have met", async () => {
    const child = fileURLToPath(new URL("children/sums.mjs", import.meta.url));
    const killed = `[ $OMPI_COMM_WORLD_RANK$PMI_RANK = 1 ] && kill -KILL $$; exec ${process.execPath} ${child} ${folder()}`;
    const { code, seconds } = await launch(2, ["sh", "-c", killed]);
    expect(code).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(10);
  });

  it("end where it is killed, and is rank 0", async () => {
    const { lines } = await loseRank(0, "wait", folder, (pid) => process.kill(pid, "SIGKILL"));
    expect(lines).toEqual(lossLine("rank 0 on \\S+ was lost: its connection was closed"));
  });

  it("wait for one that was stopped for less than the limit", async () => {
    const pause = async (pid: number) => {
      process.kill(pid, "SIGSTOP");
      await setTimeout(1500);
      process.kill(pid, "SIGCONT");
      writeFileSync(folder("go"), "");
    };
    const { code, lines, reports } = await loseRank(1, "wait", folder, pause, { NEXTPATCH_SILENCE: "5" });
    expect({ code, lines, reports }).toEqual({ code: 0, lines: [], reports: [true, true, true] });
  });

  it("end where one computes for ever, and comes to no operation", async () => {
    const limits = { NEXTPATCH_SILENCE: "2", NEXTPATCH_TEST_TIMEOUT: "1" };
    const { code, lines } = await loseRank(2, "busy", folder, () => undefined, limits);
    const where = String.raw`the operation on all ranks that rank \d on \S+ has waited in for 1 s \(timeout\)`;
    expect(lines).toEqual(lossLine(`rank 2 on \\S+ has not come to ${where}`));
    expect(code).toBeGreaterThan(0);
  });
});
