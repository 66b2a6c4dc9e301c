/** System calls of a run that go wrong: inject.c, compiled and loaded into the command. */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Ended, Place } from "./place.js";

/** How many calls a sample has of each kind. */
const SAMPLE = 8;

export class Injection {
  private constructor(private readonly place: Place) {}

  static async build(place: Place): Promise<Injection> {
    const source = fileURLToPath(new URL("inject.c", import.meta.url));
    execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", place.path("inject.so"), source, "-ldl"]);
    return new Injection(place);
  }

  /** Trains in the folder `out`; at the call number `call` on its files something goes wrong: see inject.c. */
  run(out: string, action: string, call: number, flags: readonly string[]): Promise<Ended> {
    const words = flags.map((flag) => `'${flag}'`).join(" ");
    const environment =
      `NEXTPATCH_INJECT='${call}:${action}:${this.place.path(`${out}/`)}' NEXTPATCH_INJECTED=calls ` +
      `LD_PRELOAD='${this.place.path("inject.so")}'`;
    return this.place.bash(`${environment} nextpatch train config.json --set out=${out} ${words}`).ended;
  }

  /** The calls of a whole run. */
  async count(out: string, flags: readonly string[]): Promise<number> {
    const { code, stderr } = await this.run(out, "count", 0, flags);
    if (code !== 0) throw new Error(stderr);
    rmSync(this.place.path(out), { recursive: true });
    return Number(this.place.text("calls"));
  }
}

/** Tries every action at a sample of the calls, or at all of them. Returns how many that were. */
export async function everyCall<Action>(
  calls: number,
  actions: readonly Action[],
  attempt: (action: Action, call: number) => Promise<void>,
): Promise<number> {
  const step = process.env.NEXTPATCH_FAULTS === "all" ? 1 : calls / SAMPLE;
  let tried = 0;
  for (const [index, action] of actions.entries()) {
    // Other calls for each action, and at random between the sample's.
    const first = step === 1 ? 1 : 1 + (Math.floor(Math.random() * step + index) % Math.ceil(step));
    for (let call = first; call <= calls; call += step) {
      await attempt(action, Math.floor(call));
      tried++;
    }
  }
  return tried;
}
