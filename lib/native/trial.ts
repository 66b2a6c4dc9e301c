/**
 * Opens the addon and the backends for the first time, in a process of its own: one that ends in an illegal instruction
 * or a segmentation fault must not take the user's process along. The verdict is remembered (trial_cache.ts).
 */
import { spawnSync } from "node:child_process";
import { basename, dirname } from "node:path";

/** The libraries that end a process, and the signal that each ends it with. */
export type Crashes = Readonly<Record<string, string>>;

export interface Tried {
  readonly crashes: Crashes;
  /** Whether the trial came to an end; if not, nothing is known of what it had not reached. */
  readonly complete: boolean;
}

/** Milliseconds after which a trial is given up, and the addon loaded as if there had been none. */
const patience = 60_000;

/** Signals of a fault in the process, not of somebody who ends it. */
const faults = new Set(["SIGILL", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGABRT", "SIGTRAP", "SIGSYS"]);

/** In the trial's environment: what to try. */
const variable = "NEXTPATCH_TRIAL";

/**
 * Runs in the trial, as CommonJS in the process's own JavaScript engine: it cannot import TypeScript. Before it touches
 * a file it says so, so that the last one named is at fault. A product is computed, since the instructions of the
 * processor's best set are in loops. Signals that warn a job are not meant for it.
 */
const script = `
for (const signal of ["SIGUSR1", "SIGUSR2"]) process.on(signal, () => {});
const { writeSync } = require("node:fs");
const { addon, folders, passedOver } = JSON.parse(process.env.${variable});
const say = (word, file) => writeSync(1, word + " " + file + "\\n");
say("try", addon);
const native = require(addon);
for (const folder of folders) native.addBackendFolder(folder);
for (const file of passedOver) native.excludeLibrary(file, "it was tried before");
say("done", addon);
const compute = async () => {
  const device = new native.Device("cpu", 0, 1);
  const dtype = device.nativeBf16 ? "bf16" : "f32";
  const [a, b, c] = [0, 1, 2].map(() => new native.Tensor(device, dtype, [32, 32]));
  native.fill(a, 1);
  native.fill(b, 1);
  native.matmul(c, a, b, false, true, false);
  await c.read();
};
const tryAll = async () => {
  for (const backend of ["cpu", "cuda"]) {
    for (const file of native.backendLibraries(backend)) {
      if (passedOver.includes(file)) continue;
      say("try", file);
      const works = native.tryLibrary(file) === null;
      if (works && backend === "cpu") await compute();
      say("done", file);
      if (works) break;
    }
  }
};
tryAll().then(() => say("end", addon));
`;

/** Whether this process is itself part of a trial, or cannot start one. */
export function canTry(): boolean {
  // Only of these is it known that they run a script that they are given: a program packed together with its engine
  // would start a second time.
  return process.env[variable] === undefined && /^(node|nodejs|bun|electron)[-.\d]*$/.test(basename(process.execPath));
}

/**
 * Tries an addon, and the backends beside it and in `folders`.
 * @throws Error where no process can be started
 */
export function tryAddon(addon: string, folders: readonly string[]): Tried {
  const crashes: Record<string, string> = {};
  for (;;) {
    const { output, signal } = start({ addon, folders, passedOver: Object.keys(crashes) });
    const lines = output.trimEnd().split("\n");
    const [, at] = /^try (.*)$/.exec(lines.at(-1) ?? "") ?? [];
    if (at === undefined || signal === null || !faults.has(signal)) {
      // An addon that throws is an end too: loading it tells why.
      const ended = lines.at(-1) === `end ${addon}` || (at === addon && signal === null);
      return { crashes, complete: ended };
    }
    crashes[at] = signal;
    if (at === addon) return { crashes, complete: true };
  }
}

function start(what: { readonly addon: string; readonly folders: readonly string[]; readonly passedOver: string[] }) {
  // Options of this process, such as a debugger's port or a loader of TypeScript, are not the trial's.
  const { NODE_OPTIONS: _, BUN_OPTIONS: __, ...env } = process.env;
  const { stdout, signal, error } = spawnSync(process.execPath, ["-e", script], {
    cwd: dirname(what.addon),
    env: { ...env, [variable]: JSON.stringify(what), ELECTRON_RUN_AS_NODE: "1" },
    stdio: ["ignore", "pipe", "ignore"],
    encoding: "utf8",
    timeout: patience,
    killSignal: "SIGKILL",
  });
  if (error !== undefined && (error as NodeJS.ErrnoException).code !== "ETIMEDOUT") throw error;
  return { output: stdout ?? "", signal: error ? null : signal };
}
