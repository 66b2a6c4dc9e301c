/** Ranks that are lost, silent or hang: all end, soon, with one line. The limits are smaller than a user's. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { expect, it } from "@jest/globals";
import { describeRanks, runRanks } from "../support/ranks.js";
import { temporaryFolder } from "../support/temporary.js";

const folder = temporaryFolder();

/** Three ranks, of which one gets `act` done to it while the others wait for it. */
async function lose(lost: number, how: string, act: (process: number) => unknown, env: NodeJS.ProcessEnv = {}) {
  const running = runRanks(3, "lost.mjs", [how, folder(), String(lost)], env);
  while (!existsSync(folder("pid"))) await setTimeout(10);
  await setTimeout(50); // it is written
  const begun = performance.now();
  await act(Number(readFileSync(folder("pid"), "utf8")));
  const { code, errors, reports } = await running;
  const lines = errors.split("\n").filter((line) => line.startsWith("nextpatch: "));
  return { code, lines, reports, seconds: (performance.now() - begun) / 1000 };
}

const line = (text: string) => [expect.stringMatching(new RegExp(`^nextpatch: ${text}; so all ranks end$`))];

describeRanks("ranks that miss another", () => {
  it.each([0, 1])("end at once where rank %d is killed", async (lost) => {
    const { code, lines, seconds } = await lose(lost, "wait", (pid) => process.kill(pid, "SIGKILL"));
    expect(lines).toEqual(line(`rank ${lost} on \\S+ was lost: its connection was closed`));
    expect(code).toBeGreaterThan(0);
    // Open MPI's launcher takes a second to see its processes end.
    expect(seconds).toBeLessThan(4);
  });

  it.each([0, 1])("end where rank %d is silent", async (lost) => {
    const stop = (pid: number) => process.kill(pid, "SIGSTOP");
    const { code, lines } = await lose(lost, "wait", stop, { NEXTPATCH_SILENCE: "1" });
    expect(lines).toEqual(line(`rank ${lost} on \\S+ was silent for 1 s`));
    expect(code).toBeGreaterThan(0);
  });

  it("wait for one that was stopped for less", async () => {
    const pause = async (pid: number) => {
      process.kill(pid, "SIGSTOP");
      await setTimeout(1000);
      process.kill(pid, "SIGCONT");
      writeFileSync(folder("go"), "");
    };
    const { code, lines, reports } = await lose(1, "wait", pause, { NEXTPATCH_SILENCE: "3" });
    expect({ code, lines, reports }).toEqual({ code: 0, lines: [], reports: [true, true, true] });
  });

  it("end where one computes for ever, and comes to no operation", async () => {
    const { code, lines } = await lose(2, "busy", () => undefined, {
      NEXTPATCH_SILENCE: "1",
      NEXTPATCH_TEST_TIMEOUT: "1",
    });
    const where = String.raw`the operation on all ranks that rank \d on \S+ has waited in for 1 s \(timeout\)`;
    expect(lines).toEqual(line(`rank 2 on \\S+ has not come to ${where}`));
    expect(code).toBeGreaterThan(0);
  });
});
