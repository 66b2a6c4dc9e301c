/** Two processes on one folder. */
import { match, ok } from "node:assert/strict";
import { utimesSync } from "node:fs";
import type { Fault } from "../fault.js";
import type { Place } from "../place.js";

const refused =
  /^nextpatch: run: expected a folder that nothing else is writing but received one that a run is writing \(/m;

/** A run that takes hours. */
const long = ["--set", "train.steps=1000000", "--set", "eval.everySteps=1000000"];

const owns = (place: Place, pid: number | undefined): boolean => place.text("run/run.lock").includes(`"pid":${pid},`);

export const owners: readonly Fault[] = [
  {
    name: "second-process",
    fault: "a second process trains in the same folder",
    tried: "`train`, `train --resume` and `compare` in folders that others are training and comparing in",
    happens: "it is refused before it opens a device or data, exit code 2, and names the owner",
    run: async (place) => {
      const { child } = place.train("run", ...long);
      await place.steps("run", 1);
      const times: number[] = [];
      for (const flags of [[], ["--resume"]]) {
        const start = performance.now();
        const { code, stderr } = await place.train("run", ...long, ...flags).ended;
        times.push(performance.now() - start);
        match(stderr, refused);
        ok(code === 2 && stderr.includes(`process ${child.pid}, since`) && !stderr.includes("auto chose"), stderr);
      }
      const compare = () => place.start(["compare", "config.json", "--set", "out=compared", ...long]);
      compare();
      await place.until("a comparison", () => place.size("compared/baseline/seed-1/metrics.jsonl") > 0);
      const { code, stderr } = await compare().ended;
      ok(code === 2 && stderr.includes("received one that a comparison is writing"), stderr);
      return `after ${(Math.max(...times) / 1000).toFixed(1)} s`;
    },
  },
  {
    name: "dead-owner",
    fault: "the owner was killed",
    tried: "twelve processes that resume at once what was killed by SIGKILL, four times",
    happens: "one of them takes the folder over at once, the others are refused",
    run: async (place) => {
      let owner = place.train("run", ...long);
      await place.steps("run", 1);
      for (let round = 0; round < 4; round++) {
        owner.child.kill("SIGKILL");
        await owner.ended;
        const all = Array.from({ length: 12 }, () => place.train("run", ...long, "--resume"));
        let open = all.length;
        for (const { ended } of all) void ended.then(() => open--);
        await place.until("one is left", () => open <= 1);
        const [left, ...others] = all.filter(({ child }) => child.exitCode === null && child.signalCode === null);
        ok(left !== undefined && others.length === 0, `round ${round}: ${open} are left`);
        await place.until("it owns the folder", () => owns(place, left.child.pid));
        for (const each of all) if (each !== left) match((await each.ended).stderr, refused);
        owner = left;
      }
      return undefined;
    },
  },
  {
    name: "other-container",
    fault: "the owner cannot be looked up: another container, another machine on a shared disk",
    tried: "a run in a namespace of process numbers of its own, then SIGKILL to it, then a minute's silence",
    happens: "refused for as long as the owner was heard of in the last minute, which is said; then taken over",
    run: async (place) => {
      const line = `${process.execPath} ${place.built.main} train config.json --set out=run ${long.join(" ")}`;
      const { child, ended } = place.bash(`exec unshare -rpf --kill-child --mount-proc ${line}`);
      await place.steps("run", 1);
      const second = () => place.train("run", ...long, "--resume");
      for (const alive of [true, false]) {
        if (!alive) {
          child.kill("SIGKILL");
          await ended;
        }
        const { code, stderr } = await second().ended;
        match(stderr, refused);
        ok(code === 2 && /last heard of \d+ s ago; it cannot be looked up from here/.test(stderr), stderr);
      }
      const before = Date.now() / 1000 - 61;
      utimesSync(place.path("run/run.lock"), before, before);
      const third = second();
      await place.until("the third owns the folder", () => owns(place, third.child.pid));
      return undefined;
    },
  },
  {
    name: "lost-folder",
    fault: "a run stood still for so long that another has taken its folder",
    tried: "the lock of a running one replaced by another's",
    happens: "it ends before it writes its next checkpoint, and says so",
    run: async (place) => {
      const { ended } = place.train("run", ...long);
      await place.steps("run", 1);
      await place.bash('sed -i \'s/"nonce":"/&0/\' run/run.lock').ended;
      const { code, stderr } = await ended;
      ok(code === 2 && place.text("run/latest") === "", stderr);
      match(
        stderr,
        /nextpatch: run: expected to be the only process that writes there but received a run\.lock that is/,
      );
      return undefined;
    },
  },
];
