/** Signals to a run. */
import { match, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import type { Fault } from "../fault.js";
import { type Ended, type Place, STEPS } from "../place.js";

const random = (below: number): number => Math.floor(Math.random() * below);

/** Checks that a run ended as a signal asks: saved, and told how to go on. */
function checkInterrupted(place: Place, out: string, { code, stderr }: Ended): void {
  const [, step] = new RegExp(`interrupted at step (\\d+) of ${STEPS}; go on with --resume\\n$`).exec(stderr) ?? [];
  ok(code === 1 && step !== undefined, `ended with ${code}: ${stderr.slice(-500)}`);
  match(place.text(`${out}/latest`), new RegExp(`^step-0*${step}\\n$`));
}

/** Whether anything listens where Node's debugger does. */
const debuggerListens = (): boolean => /^ *\d+: \w{8}:240D \w{8}:0000 0A /m.test(readFileSync("/proc/net/tcp", "utf8"));

/** Waits until a process has a handler of SIGUSR1: until then it is not Node's yet. */
function untilHandled(place: Place, pid: number): Promise<void> {
  return place.until("a handler of SIGUSR1", () => {
    const [, caught] = /^SigCgt:\s*(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return (BigInt(`0x${caught ?? 0}`) & (1n << 9n)) !== 0n;
  });
}

export const signals: readonly Fault[] = [
  {
    name: "end-signals",
    fault: "Ctrl-C, a closed connection, a scheduler's SIGTERM",
    tried: "SIGINT, SIGHUP and SIGTERM in turn at random moments of one run, twelve times, each sent twice",
    happens: "the step is finished and saved, exit code 1; the resumed run ends in the bits of an undisturbed one",
    run: async (place) => {
      let interrupted = 0;
      for (const signal of ["SIGINT", "SIGHUP", "SIGTERM"] as const) {
        for (let time = 0; time < 4; time++) {
          const { child, ended } = place.train("run", ...(interrupted > 0 ? ["--resume"] : []));
          const before = place.size("run/metrics.jsonl");
          await place.until("a step", () => place.size("run/metrics.jsonl") > before || child.exitCode !== null);
          await setTimeout(random(150));
          child.kill(signal);
          await setTimeout(20);
          child.kill(signal);
          const end = await ended;
          if (end.code === 0) break;
          checkInterrupted(place, "run", end);
          interrupted++;
        }
      }
      await place.finish("run");
      return `${interrupted} interruptions`;
    },
  },
  {
    name: "second-ctrl-c",
    fault: "Ctrl-C again, where a step takes too long",
    tried: "SIGINT every 0.7 s to a run whose steps take many seconds",
    happens: "the process ends at once, by the signal; the next one takes the folder over",
    run: async (place) => {
      const slow = ["--set", "batch.tokensPerStep=2097152"];
      const { child, ended } = place.train("run", ...slow);
      await place.steps("run", 1);
      const interrupt = setInterval(() => child.kill("SIGINT"), 700);
      const { signal, stderr } = await ended;
      clearInterval(interrupt);
      ok(signal === "SIGINT", `ended by ${signal}: ${stderr}`);
      const again = place.train("run", ...slow, "--resume");
      await place.until("the folder", () => place.text("run/run.lock").includes(`"pid":${again.child.pid},`));
      return undefined;
    },
  },
  {
    name: "closed-terminal",
    fault: "the terminal is closed",
    tried: "training in a terminal of its own, whose program is killed",
    happens: "as after SIGHUP; what is printed then is dropped",
    run: async (place) => {
      const line = "nextpatch train config.json --set out=run; echo $? >code";
      const command = `${process.execPath} ${place.built.main}`;
      const { child, ended } = place.bash(`exec script -qefc '${line.replace("nextpatch", command)}' /dev/null`);
      await place.steps("run", 10);
      child.kill("SIGKILL");
      await ended;
      await place.until("a checkpoint", () => place.text("run/latest") !== "");
      await place.until("its end", () => !place.text("run/run.lock").includes("pid"));
      await place.finish("run");
      return undefined;
    },
  },
  {
    name: "nohup",
    fault: "a hang-up under `nohup`",
    tried: "SIGHUP to a run that bash started with `nohup`",
    happens: "nothing: Node forgets that SIGHUP was ignored, and the command remembers",
    run: async (place) => {
      const command = `nohup ${process.execPath} ${place.built.main} train config.json --set out=run`;
      const { ended } = place.bash(
        `${command} & pid=$!; until [ -s run/metrics.jsonl ]; do sleep 0.02; done; kill -HUP $pid; wait $pid`,
      );
      const { code, stderr } = await ended;
      ok(code === 0, stderr);
      await place.checkFinished("run");
      return undefined;
    },
  },
  {
    name: "warning",
    fault: "a scheduler warns that the job will end (Slurm's `--signal`)",
    tried: "SIGUSR1 and SIGUSR2 in turn, every 100 ms of a run",
    happens: "a checkpoint of each; training goes on, no debugger is opened; the bits are those of an undisturbed run",
    run: async (place) => {
      const { child, ended } = place.train("run", "--set", "checkpoint.everySteps=1000");
      await place.steps("run", 1);
      let sent = 0;
      let debugged = false;
      let open = true;
      // At its very end the process gives its listeners back: nothing is left to save then.
      child.stdout!.once("data", () => (open = false));
      for (; open && child.exitCode === null; sent++) {
        child.kill(sent % 2 === 0 ? "SIGUSR1" : "SIGUSR2");
        debugged ||= debuggerListens();
        await setTimeout(100);
      }
      const { code, signal, stderr } = await ended;
      ok(code === 0, `ended with ${code ?? signal}: ${stderr.slice(-500)}`);
      ok(!debugged, "the debugger listens");
      const saved = stderr.match(/SIGUSR[12]: saving a checkpoint after this step/g)?.length ?? 0;
      ok(saved >= Math.min(3, sent) && saved <= sent, `${saved} of ${sent} were heard`);
      await place.checkFinished("run");
      return `${saved} signals`;
    },
  },
  {
    name: "early-warning",
    fault: "such a warning while the command starts",
    tried: "SIGUSR1 at forty random moments of the first 0.4 s, from when Node listens for it",
    happens: "Node may have opened its debugger before the command's first line; that closes it. Training goes on",
    run: async (place) => {
      let opened = 0;
      for (let time = 0; time < 40; time++) {
        const { child, ended } = place.start(["info", "--config", "config.json"]);
        await untilHandled(place, child.pid!);
        await setTimeout(random(400));
        child.kill("SIGUSR1");
        const { code, signal, stderr } = await ended;
        ok(code === 0, `ended with ${code ?? signal}: ${stderr}`);
        if (stderr.includes("Debugger listening")) opened++;
      }
      const { child, ended } = place.train("run");
      await untilHandled(place, child.pid!);
      child.kill("SIGUSR1");
      await place.steps("run", 1);
      ok(!debuggerListens(), "the debugger listens");
      ok((await ended).code === 0);
      return `${opened} times it had been opened`;
    },
  },
  {
    name: "warning-ends",
    fault: "such a warning with `checkpoint.onSignal: end`",
    tried: "SIGUSR1 and SIGUSR2, while training and while the run is opened",
    happens: "as after SIGTERM",
    run: async (place) => {
      for (const signal of ["SIGUSR1", "SIGUSR2"] as const) {
        const { child, ended } = place.train(signal, "--set", "checkpoint.onSignal=end");
        await place.steps(signal, 3);
        child.kill(signal);
        checkInterrupted(place, signal, await ended);
        await place.finish(signal);
      }
      const { child, ended } = place.train("early", "--set", "checkpoint.onSignal=end");
      await place.until("the folder", () => place.size("early/run.lock") > 0);
      child.kill("SIGUSR2");
      const { code, stderr } = await ended;
      ok(code === 1, stderr);
      match(stderr, /interrupted at step \d+ of 400; go on with --resume\n$/);
      await place.finish("early");
      return undefined;
    },
  },
  {
    name: "compare-signals",
    fault: "the same signals to a comparison",
    tried: "SIGUSR1, then SIGHUP, to a `compare` in its first run",
    happens: "a checkpoint of that run; then it is saved, exit code 1, and the same command goes on from there",
    run: async (place) => {
      const compare = () => place.start(["compare", "config.json", "--set", "out=compared"]);
      const { child, ended } = compare();
      await place.steps("compared/baseline/seed-1", 3);
      child.kill("SIGUSR1");
      await place.until("a checkpoint", () => place.text("compared/baseline/seed-1/latest") !== "");
      child.kill("SIGHUP");
      const { code, stderr } = await ended;
      ok(code === 1, stderr);
      match(
        stderr,
        /\nnextpatch: interrupted in the run token-level at step \d+ of \d+; the same command goes on from there\n$/,
      );
      const again = await compare().ended;
      ok(again.code === 0, again.stderr);
      match(again.stderr, /going on from compared\/baseline\/seed-1\/checkpoints\/step-/);
      return undefined;
    },
  },
];
