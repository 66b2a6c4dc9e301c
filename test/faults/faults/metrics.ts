/** Metrics over crashes and damage. */
import { deepStrictEqual, match, ok } from "node:assert/strict";
import {
  appendFileSync,
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { setTimeout } from "node:timers/promises";
import type { MetricsLine } from "../../../lib/report/metrics.js";
import { ThinnedMetrics } from "../../../lib/report/thinned_metrics.js";
import { Trainer } from "../../../lib/train/trainer.js";
import { madeConfig } from "../../support/made_run.js";
import type { Fault } from "../fault.js";
import type { Place } from "../place.js";

/** Kills of the run of `kills`: an environment variable asks for more. */
const KILLS = Number(process.env.NEXTPATCH_FAULTS_KILLS ?? 40);

/** What a machine that loses power may leave at the end of a file that grew. */
const tails = ["", '{"step":7,"sta', "\0".repeat(4096), `${"\0".repeat(300)}\n{"step":1}\n`];

/** Lines of the long run. */
const LINES = 2_000_000;

export const metrics: readonly Fault[] = [
  {
    name: "kills-metrics",
    fault: "SIGKILL, or a machine that loses power",
    tried:
      "SIGKILL at 40 random moments of one run, after most of them half a line, zeros or other lines at the end of its metrics",
    happens: "each step has its line once, and the weights are the bits of an undisturbed run",
    run: async (place) => {
      let runs = 1;
      for (let kills = 0; kills < KILLS; ) {
        const out = `run${runs}`;
        const { child, ended } = place.train(out, ...(place.size(`${out}/config.json`) > 0 ? ["--resume"] : []));
        const owned = (): boolean => place.text(`${out}/run.lock`).includes(`"pid":${child.pid},`);
        await place.until("its beginning", () => owned() || child.exitCode !== null);
        await setTimeout(Math.random() * 900);
        child.kill("SIGKILL");
        if ((await ended).code !== null) {
          await place.finish(out);
          runs++;
          continue;
        }
        const metrics = `${out}/metrics.jsonl`;
        if (place.size(metrics) > 0) appendFileSync(place.path(metrics), tails[kills % tails.length]!);
        kills++;
      }
      await place.finish(`run${runs}`);
      return `${KILLS} kills of ${runs} run${runs > 1 ? "s" : ""}`;
    },
  },
  {
    name: "metrics-damaged",
    fault: "a metrics file that is damaged above the checkpoint",
    tried: "a byte changed, a line lost and a line doubled, each in a run that is resumed then",
    happens: "training goes on; log and report name the place; the file is left as it is",
    run: async (place) => {
      const damages: Record<string, (lines: string[]) => string[]> = {
        byte: (lines) => lines.with(20, lines[20]!.replace("{", "[")),
        lost: (lines) => lines.toSpliced(20, 1, lines[20]!.replace(/./g, " ")),
        doubled: (lines) => lines.with(20, lines[20]!.replace('"step":21', '"step":20')),
      };
      for (const [out, damage] of Object.entries(damages)) {
        const { child, ended } = place.train(out);
        await place.steps(out, 60);
        child.kill("SIGTERM");
        await ended;
        const file = place.path(`${out}/metrics.jsonl`);
        const damaged = damage(readFileSync(file, "utf8").split("\n"));
        writeFileSync(file, damaged.join("\n"));
        const resumed = await place.train(out, "--resume").ended;
        ok(resumed.code === 0, resumed.stderr);
        const told = new RegExp(`${out}/metrics\\.jsonl: byte \\d+: expected the line of step 21 but received`);
        match(resumed.stderr, told);
        ok(told.test(place.text(`${out}/report.html`)));
        deepStrictEqual(place.text(`${out}/metrics.jsonl`).split("\n").slice(0, 30), damaged.slice(0, 30));
      }
      return undefined;
    },
  },
  {
    name: "metrics-cut",
    fault: "a metrics file that ends before the checkpoint, or is another's",
    tried: "the file cut by one byte; another run's in its place; no file",
    happens:
      "refused, with the place that the checkpoint noted; without the file training goes on, which log and report say",
    run: async (place) => {
      for (const out of ["run", "other"]) {
        const { child, ended } = place.train(out, "--set", `seed=${out.length}`);
        await place.steps(out, 55);
        child.kill("SIGTERM");
        await ended;
      }
      const resume = () => place.train("run", "--set", "seed=3", "--resume").ended;
      const file = place.path("run/metrics.jsonl");
      const whole = readFileSync(file);
      const expected = /metrics\.jsonl: expected the line of step \d+ to end at byte \d+, as its checkpoint noted, but/;
      for (const spoil of [
        () => truncateSync(file, whole.length - 1),
        () => writeFileSync(file, `${place.text("other/metrics.jsonl")}${" ".repeat(whole.length)}\n`),
      ]) {
        spoil();
        const { code, stderr } = await resume();
        ok(code === 1, stderr);
        match(stderr, expected);
      }
      rmSync(file);
      const { code, stderr } = await resume();
      ok(code === 0, stderr);
      match(stderr, /run\/metrics\.jsonl: expected the lines of \d+ steps but received no file/);
      ok(/expected the line of step 1 but received that of step \d+/.test(place.text("run/report.html")));
      return undefined;
    },
  },
  {
    name: "metrics-long",
    fault: "a run of two million steps",
    tried: "its metrics, 0.9 GB, resumed, and checkpoints saved",
    happens: "resumed in under 2 s; a checkpoint takes what that of a run of a few thousand steps takes",
    run: async (place) => {
      const config = madeConfig(place.folder, {
        train: { steps: LINES + 100 },
        checkpoint: { everySteps: 1e7, keep: 2 },
      });
      const checkpoints = async (first: number) => {
        const start = performance.now();
        const trainer = await Trainer.open(config, { resume: first > 0 });
        const opened = (performance.now() - start) / 1000;
        const seconds: number[] = [];
        const run = trainer.run();
        for (let step = first; step < first + 40; step++) {
          if (step >= first + 10) trainer.requestCheckpoint();
          const before = performance.now();
          await run.next();
          if (step >= first + 10) seconds.push((performance.now() - before) / 1000);
        }
        await run.return();
        await trainer.close();
        return { opened, saved: Math.min(...seconds) };
      };
      const fresh = await checkpoints(0);
      await lengthen(place, config.out, (await stagesOf(config)).at(0)!.steps);
      const { opened, saved } = await checkpoints(LINES);
      ok(opened < 2, `resumed after ${opened} s`);
      ok(saved < fresh.saved + 0.1, `a checkpoint takes ${saved} s, and ${fresh.saved} s in a fresh run`);
      return `resumed in ${opened.toFixed(2)} s; a checkpoint with its step ${saved.toFixed(3)} s, at first ${fresh.saved.toFixed(3)} s`;
    },
  },
];

async function stagesOf(config: Parameters<typeof Trainer.open>[0]) {
  await using trainer = await Trainer.open(config, { resume: true });
  return trainer.stages;
}

/** Makes the run in `out`, of two stages, one of two million steps. */
async function lengthen(place: Place, out: string, firstStage: number): Promise<void> {
  const template = JSON.parse(place.text("run/metrics.jsonl").split("\n")[0]!) as MetricsLine;
  const file = openSync(`${out}/metrics.jsonl`, "w");
  const thinned = new ThinnedMetrics();
  let [positions, metricsBytes] = [0, 0];
  let some: string[] = [];
  for (let step = 1; step <= LINES; step++) {
    const stage = step <= firstStage ? 0 : 1;
    positions += stage === 0 ? 64 : 256;
    const at = {
      step,
      stage,
      patchSize: stage === 0 ? 4 : 1,
      tokens: step * 256,
      positions,
      seconds: step * 0.0123456789,
    };
    const line: MetricsLine = { ...template, ...at, ...(step % 50 === 0 && { valLoss: 3.21 }) };
    thinned.add(line);
    some.push(`${JSON.stringify(line)}\n`);
    if (some.length < 10_000 && step < LINES) continue;
    metricsBytes += writeSync(file, some.join(""));
    some = [];
  }
  fsyncSync(file); // or the checkpoints' files wait for it
  closeSync(file);
  writeFileSync(`${out}/metrics.thinned.json`, JSON.stringify(thinned));
  const checkpoint = `${out}/checkpoints/${place.text("run/latest").trim()}`;
  const state = `${checkpoint}/trainer/state.json`;
  rmSync(`${checkpoint}/manifest.json`); // of the state that is changed here
  const before = JSON.parse(readFileSync(state, "utf8")) as object;
  writeFileSync(
    state,
    JSON.stringify({ ...before, step: LINES, stage: 1, tokens: LINES * 256, positions, metricsBytes }),
  );
}
