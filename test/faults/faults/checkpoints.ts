/** Checkpoints: kills, system calls that fail, damage on the disk. */
import { deepStrictEqual, match, ok } from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { CheckpointError } from "../../../lib/errors.js";
import { Trainer } from "../../../lib/train/trainer.js";
import { flipBit } from "../../support/bits.js";
import { madeConfig, runTo } from "../../support/made_run.js";
import type { Fault } from "../fault.js";
import { everyCall, Injection } from "../injection.js";
import type { Place } from "../place.js";
import { finishAuto, SHORT, sameWeights } from "../short_run.js";

const random = (below: number): number => Math.floor(Math.random() * below);

/** How often a run is killed at random. */
const KILLS = Number(process.env.NEXTPATCH_FAULTS_KILLS ?? 60);

/** Kills runs at random moments of their lives until `kills` is reached; each of them ends in the same weights. */
async function killAtRandom(place: Place, kills: number, flags: readonly string[], longest: number): Promise<string> {
  let done = 0;
  let runs = 0;
  while (done < kills) {
    const out = `run-${runs++}`;
    for (let ended = false; !ended && done < kills; ) {
      const { child, ended: end } = place.train(out, ...flags, "--resume=auto");
      const killed = await Promise.race([end.then(() => false), setTimeout(random(longest)).then(() => true)]);
      if (killed) child.kill("SIGKILL");
      const { code, stderr } = await end;
      ok(killed || code === 0, `ended with ${code}: ${stderr.slice(-500)}`);
      if (killed) done++;
      ended = code === 0;
    }
    await finishAuto(place, out, flags);
    await sameWeights(place, out, flags);
  }
  return `${done} kills in ${runs} run${runs === 1 ? "" : "s"}`;
}

const kills: Fault[] = [
  {
    name: "random-kills",
    fault: "the process is killed (SIGKILL, out of memory, a machine that goes off)",
    tried: "SIGKILL at 60 random moments of a run that saves every third step, its start included",
    happens: "at most the steps since the last checkpoint are lost; the weights are those of a run left alone",
    run: (place) =>
      killAtRandom(place, KILLS, ["--set", `train.steps=${12 * KILLS}`, "--set", "checkpoint.everySteps=3"], 2500),
  },
  {
    name: "random-kills-simt",
    fault: "the same on the kernels for CUDA, run by the host",
    tried: "SIGKILL at 20 random moments of runs on `simt`",
    happens: "the same",
    run: (place) => {
      const flags = ["--device", "simt", "--set", "train.steps=40", "--set", "checkpoint.everySteps=2"];
      return killAtRandom(place, 20, flags, 6000);
    },
  },
  {
    name: "kill-at-call",
    fault: "the process is killed at the worst moment",
    tried:
      "before each call that changes a file of the run, in the middle of each write, and at writes that end halfway (a sample; with `NEXTPATCH_FAULTS=all` every one)",
    happens: "the same",
    run: async (place) => {
      const injection = await Injection.build(place);
      const calls = await injection.count("count", SHORT);
      const tried = await everyCall(calls, ["kill", "half", "torn"], async (action, call) => {
        const { code, signal } = await injection.run("run", action, call, SHORT);
        ok(
          action === "torn" ? code === 0 : signal === "SIGKILL" || code === 137 || code === 0,
          `${action} at ${call}: ${code}`,
        );
        await finishAuto(place, "run", SHORT);
        await sameWeights(place, "run", SHORT);
        rmSync(place.path("run"), { recursive: true });
      });
      return `${tried} of ${3 * calls}: ${calls} calls, each in three ways`;
    },
  },
];

const goingBack: Fault = {
  name: "kill-going-back",
  fault: "the process is killed while a run goes back to an earlier checkpoint",
  tried:
    "before a sample of the calls that change a file of the run, from the first on, with `--from` and another learning rate",
  happens:
    "the same command again, and the weights are those of a run that went back undisturbed; nothing is lost of what the run did before",
  run: async (place) => {
    const injection = await Injection.build(place);
    const kept = [...SHORT, "--set", "checkpoint.keep=9"];
    const back = [...kept, "--resume", "--from", "step-4", "--set", "optimizer.lr=1e-3"];
    const begin = (out: string): void => cpSync(place.path("begun"), place.path(out), { recursive: true });
    const { code, stderr } = await place.train("begun", ...kept).ended;
    deepStrictEqual(code, 0, stderr);
    const before = readFileSync(place.path("begun/model/model.safetensors"));
    begin("undisturbed");
    await again(place, "undisturbed", back);
    const weights = readFileSync(place.path("undisturbed/model/model.safetensors"));
    begin("run");
    // Most of the calls are those of training from there on.
    const calls = Math.min(60, await injection.count("run", back));
    const tried = await everyCall(calls, ["kill"], async (action, call) => {
      begin("run");
      await injection.run("run", action, call, back);
      await again(place, "run", back);
      ok(readFileSync(place.path("run/model/model.safetensors")).equals(weights), `other weights after ${call}`);
      const abandoned = (readdirSync(place.path("run/abandoned"), { recursive: true }) as string[]).filter((file) =>
        file.endsWith("model/model.safetensors"),
      );
      ok(
        abandoned.some((file) => readFileSync(place.path(`run/abandoned/${file}`)).equals(before)),
        `lost at ${call}`,
      );
      rmSync(place.path("run"), { recursive: true });
    });
    return `${tried} kills`;
  },
};

async function again(place: Place, out: string, flags: readonly string[]): Promise<void> {
  const { code, stderr } = await place.train(out, ...flags).ended;
  deepStrictEqual(code, 0, stderr);
}

const errors: Fault[] = [
  {
    name: "disk-errors",
    fault: "a disk that is full, read-only, over its quota or broken",
    tried:
      "each call that changes a file of the run, and all later ones, fail with ENOSPC, EROFS, EDQUOT and EIO (a sample; with `NEXTPATCH_FAULTS=all` every one)",
    happens: "exit code 1, and one line with the error and the file; resumed, the weights of a run left alone",
    run: async (place) => {
      const injection = await Injection.build(place);
      const calls = await injection.count("count", SHORT);
      // Node has no name for EDQUOT.
      const codes = { ENOSPC: 28, EROFS: 30, EIO: 5, "system error -122": 122 };
      const tried = await everyCall(calls, Object.keys(codes) as (keyof typeof codes)[], async (name, call) => {
        const { code, stderr } = await injection.run("run", String(codes[name]), call, SHORT);
        const last = stderr.trimEnd().split("\n").at(-1)!;
        ok(
          code === 1 && new RegExp(`^nextpatch: .*${name}.*`).test(last) && /\brun\//.test(last),
          `${name} at ${call}: ${stderr}`,
        );
        await finishAuto(place, "run", SHORT);
        await sameWeights(place, "run", SHORT);
        rmSync(place.path("run"), { recursive: true });
      });
      return `${tried} of ${4 * calls}: ${calls} calls, each with four errors`;
    },
  },
  {
    name: "full-disk",
    fault: "the disk fills up while a checkpoint is written",
    tried: "a run on a file system of 3 MB in memory, which keeps more checkpoints than fit",
    happens:
      "exit code 1, ENOSPC with the file's name; the checkpoints that are there are whole, and it goes on elsewhere",
    run: async (place) => {
      const flags = [...SHORT, "--set", "checkpoint.everySteps=1", "--set", "checkpoint.keep=99"];
      const line =
        "mkdir small && mount -t tmpfs -o size=3m none small && " +
        `{ nextpatch train config.json --set out=small/run ${flags.join(" ")}; echo $? >code; cp -r small/run run; }`;
      const outer = `unshare -Urm bash -c '${line.replace("nextpatch", `${process.execPath} ${place.built.main}`)}'`;
      const { stderr } = await place.bash(outer).ended;
      if (/unshare: |Operation not permitted/.test(stderr)) return "skipped: no user namespaces here";
      deepStrictEqual(place.text("code"), "1\n", stderr);
      match(stderr, /nextpatch: small\/run\/\S+: ENOSPC: no space left on device/);
      ok(readdirSync(place.path("run/checkpoints")).every((name) => /^step-\d{8}$/.test(name)));
      await finishAuto(place, "run", SHORT);
      await sameWeights(place, "run", SHORT);
      return undefined;
    },
  },
];

const damage: Fault[] = [
  {
    name: "damaged-checkpoint",
    fault: "the newest checkpoint is damaged on the disk",
    tried: "one bit of its moments is flipped, then the run is resumed",
    happens: "the file is named with the newest intact checkpoint, from which it goes on to the same weights",
    run: async (place) => {
      const flags = [...SHORT, "--set", "checkpoint.keep=3"];
      const first = await place.train("run", ...flags).ended;
      deepStrictEqual(first.code, 0, first.stderr);
      const newest = place.text("run/latest").trim();
      flipBit(place.path(`run/checkpoints/${newest}/trainer/exp_avg.safetensors`), 80_006);
      rmSync(place.path("run/model"), { recursive: true });
      const { code, stderr } = await place.train("run", ...flags, "--resume").ended;
      deepStrictEqual(code, 0, stderr);
      match(stderr, new RegExp(`${newest}/trainer/exp_avg\\.safetensors: expected the bytes that were written`));
      match(stderr, /the newest intact checkpoint is run\/checkpoints\/step-\d+\n/);
      await sameWeights(place, "run", SHORT);
      return undefined;
    },
  },
  {
    name: "bit-flips",
    fault: "any bit of a checkpoint, or of the record of its data, is another",
    tried: "1000 bits, chosen at random over all files, one at a time; each time the run is resumed",
    happens: "refused, naming the file, or mended: none is accepted",
    run: async (place) => {
      const config = madeConfig(place.folder);
      await runTo(config, { until: 3 });
      const folder = join(config.out, "checkpoints", "step-00000003");
      const inside = (readdirSync(folder, { recursive: true }) as string[]).map((name) => join(folder, name));
      const files = [...inside.filter((file) => statSync(file).isFile()), join(config.out, "data.json")];
      const outcomes = { refused: 0, mended: 0 };
      for (let flip = 0; flip < 1000; flip++) {
        // Every file as often as any other: the smallest matter most.
        const file = files[flip % files.length]!;
        const before = readFileSync(file);
        const bit = random(8 * before.length);
        flipBit(file, bit);
        try {
          await (await Trainer.open(config, { resume: true })).close();
          ok(readFileSync(file).equals(before), `${file}, bit ${bit}: accepted`);
          outcomes.mended++;
        } catch (error) {
          ok(error instanceof CheckpointError, `${file}, bit ${bit}: ${error}`);
          flipBit(file, bit);
          outcomes.refused++;
        }
      }
      await runTo(config, { resume: true });
      return `${outcomes.refused} refused, ${outcomes.mended} mended`;
    },
  },
];

export const checkpoints: readonly Fault[] = [...kills, goingBack, ...errors, ...damage];
