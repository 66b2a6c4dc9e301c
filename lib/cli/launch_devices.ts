/** Starts a command again as ranks of this machine, a process for each of several GPUs. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { constants, hostname } from "node:os";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout } from "node:timers/promises";
import type { DeviceSpec } from "../device.js";
import { DeviceError } from "../errors.js";
import { native } from "../native.js";
import { launchedPlace } from "../ranks/place.js";
import { checkDevices } from "../ranks/rank_device.js";
import { freePort } from "./free_port.js";
import type { CliIo } from "./io.js";
import { environmentOf, passSignals } from "./launch_ranks.js";

/** Milliseconds in which ranks that miss another may say so and end by themselves. */
const PATIENCE = 500;

/** What ranks say that end because they miss another. */
const lost = /; so all (ranks )?(have ended|end)$/;

/**
 * Runs this process's command line on so many GPUs. Resolves with the exit code; null: this process is one of the ranks, or
 * is to be the only one.
 * @param onSignal what a scheduler's warning does; null: there is nothing to save
 * @throws ConfigError if there are no such devices, DeviceError without NCCL
 */
export async function runOnDevices(
  devices: readonly number[],
  spec: DeviceSpec,
  io: CliIo,
  onSignal: "continue" | "end" | null,
): Promise<number | null> {
  if (devices.length === 1 || launchedPlace() !== null) return null;
  checkDevices(spec, devices);
  const { problem } = native.engine("nccl");
  if (problem !== null) throw new DeviceError(problem);
  const count = String(devices.length);
  const env = {
    ...environmentOf(devices.length),
    WORLD_SIZE: count,
    LOCAL_WORLD_SIZE: count,
    MASTER_ADDR: "127.0.0.1",
    NEXTPATCH_PORT: String(await freePort()),
    // By which the ranks know one another from those of another run.
    TORCHELASTIC_RUN_ID: randomUUID(),
  };
  const ranks = devices.map((_, rank) =>
    // Of groups of their own: a Ctrl-C that the terminal sends to all would end them at once.
    spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      detached: true,
      env: { ...env, RANK: String(rank), LOCAL_RANK: String(rank) },
      stdio: [rank === 0 ? "pipe" : "ignore", "inherit", "pipe"],
    }),
  );
  let told = false;
  const log = (line: string): void => {
    told ||= lost.test(line);
    io.log(line);
  };
  const said = ranks.map(({ stderr }) => passLines(stderr!, log));
  const stop = passSignals(io, onSignal, ranks[0]!.stdin!, () => endAll(ranks, "SIGTERM"));
  try {
    const failed = await firstFailure(ranks);
    if (failed !== null) {
      const others = Promise.all(ranks.map(ended));
      await Promise.race([others, setTimeout(PATIENCE)]);
      endAll(ranks, "SIGKILL");
    }
    await Promise.all([...ranks.map(ended), ...said]);
    if (failed === null) return 0;
    const { rank, signal, code } = failed;
    if (signal !== null && !told) {
      const number = constants.signals[signal];
      io.log(`nextpatch: rank ${rank} on ${hostname()} was ended by signal ${number} (${signal}); so all have ended`);
    }
    return code ?? 1;
  } finally {
    endAll(ranks, "SIGKILL");
    stop();
  }
}

interface Failure {
  readonly rank: number;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The first rank that ends by an error or a signal; null: all have ended well. */
async function firstFailure(ranks: readonly ChildProcess[]): Promise<Failure | null> {
  return new Promise((resolve, reject) => {
    let running = ranks.length;
    for (const [rank, child] of ranks.entries()) {
      child.once("error", reject);
      child.once("exit", (code, signal) => {
        if (code !== 0) resolve({ rank, code, signal });
        else if (--running === 0) resolve(null);
      });
    }
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

function endAll(ranks: readonly ChildProcess[], signal: NodeJS.Signals): void {
  for (const child of ranks) child.kill(signal);
}

async function passLines(from: Readable, log: (line: string) => void): Promise<void> {
  for await (const line of createInterface({ input: from })) log(line);
}
