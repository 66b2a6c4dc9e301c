/** Three machines, as network namespaces: ranks find one another, and all end where a cable is pulled. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { Hosts, noHosts } from "../support/hosts.js";
import { describeRanks } from "../support/ranks.js";
import { temporaryFolder } from "../support/temporary.js";

const folder = temporaryFolder();
const child = (name: string) => fileURLToPath(new URL(`children/${name}`, import.meta.url));
const reason = noHosts();

/** Processes whose command line names the test's folder. */
const ranks = (): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((process) => {
      try {
        const [program, ...args] = readFileSync(`/proc/${process}/cmdline`, "utf8").split("\0");
        return program === globalThis.process.execPath && args.includes(folder());
      } catch {
        return false; // it has ended meanwhile
      }
    })
    .map(Number);

/** Skipped where namespaces cannot be made, such as by who is not root. */
const describeHosts: typeof describeRanks = (title, tests) =>
  reason === null ? describeRanks(title, tests, "openmpi") : describe.skip(`${title}: ${reason}`, tests);

describeHosts("ranks on three machines", () => {
  let hosts: Hosts;
  beforeEach(() => {
    hosts = new Hosts(3, folder());
  });
  afterEach(() => hosts.remove());

  function start(name: string, ...args: string[]) {
    const running = hosts.start([process.execPath, child(name), folder(), ...args], {
      OMP_NUM_THREADS: "1",
      NEXTPATCH_TEST_ENGINE: "openmpi",
    });
    let errors = "";
    running.stderr.on("data", (data: Buffer) => (errors += data.toString()));
    const ended = new Promise<number | null>((resolve) => running.on("close", resolve));
    return { ended, errors: () => errors };
  }

  it("have the sums of ranks on one", async () => {
    const { ended, errors } = start("sums.mjs");
    expect({ code: await ended, errors: errors() }).toEqual({ code: 0, errors: "" });
    for (const rank of [0, 1, 2]) {
      expect(JSON.parse(readFileSync(folder(`${rank}.json`), "utf8"))).toMatchObject({ wrong: [] });
    }
  });

  it("end within 15 seconds where a cable is pulled, and say which", async () => {
    const { ended, errors } = start("lost.mjs", "wait", folder(), "2");
    while (!existsSync(folder("pid"))) await setTimeout(20);
    await setTimeout(500);
    expect(ranks()).toHaveLength(3);
    hosts.pullCable(2);
    const begun = performance.now();
    while (ranks().length > 0 && performance.now() - begun < 20_000) await setTimeout(100);
    expect((performance.now() - begun) / 1000).toBeLessThan(15);
    hosts.remove(); // Open MPI's launcher may wait for the machine for ever
    await ended;
    const line = "nextpatch: rank 2 on host-2 was silent for 10 s; so all ranks end";
    expect(errors().match(/^nextpatch: .*$/gm)).toEqual([line]);
  });
});
