/** What a watched run's files say of it beside its metrics. They may hold anything: what is not as expected is left out. */
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { inputLimits } from "../disk/input_limits.js";
import { parseJson } from "../disk/json.js";
import { lives, type ProcessIdentity } from "../disk/process_identity.js";
import { readText } from "../disk/read_text.js";
import type { RunFacts, Sample } from "../report/run_facts.js";

/** Samples of a run that are shown, the latest ones, and the characters of each. */
const SAMPLES = 3;
const CHARACTERS = 4000;

/** Milliseconds after which an owner that cannot be looked up, and has not written its file, counts as dead. */
const SILENCE = 60_000;

/** What the page shows of `report.json`. */
export interface ShownFacts {
  readonly name: string | null;
  readonly device: string | null;
  readonly parameters: number | null;
  readonly plannedBytes: number | null;
  /** Steps of all stages; null: unknown. */
  readonly steps: number | null;
  /** Tokens that each validation loss is on; null: unknown. */
  readonly evaluatedTokens: number | null;
  readonly samples: readonly Sample[];
}

const nothing: ShownFacts = {
  name: null,
  device: null,
  parameters: null,
  plannedBytes: null,
  steps: null,
  evaluatedTokens: null,
  samples: [],
};

type Loose<T> = { readonly [Key in keyof T]?: unknown } | null | undefined;

/** The facts of a run, read again when their file has changed. */
export class FollowedFacts {
  #state = "";
  #facts = nothing;
  readonly #path: string;

  constructor(folder: string) {
    this.#path = join(folder, "report.json");
  }

  async read(): Promise<ShownFacts> {
    const found = await lstat(this.#path).catch(() => null);
    if (!found?.isFile()) return nothing;
    const state = `${found.ino}:${found.size}:${found.mtimeMs}`;
    if (state !== this.#state) {
      this.#state = state;
      this.#facts = await readFacts(this.#path).catch(() => nothing);
    }
    return this.#facts;
  }
}

async function readFacts(path: string): Promise<ShownFacts> {
  const json = parseJson(await readText(path, inputLimits.smallJson)) as Loose<RunFacts>;
  const { name } = (json?.config ?? {}) as { name?: unknown };
  const { plannedBytes } = (json?.memory ?? {}) as { plannedBytes?: unknown };
  const { sequences, positions } = (json?.evaluated ?? {}) as { sequences?: unknown; positions?: unknown };
  const evaluated = [number(sequences), number(positions)];
  const stages = Array.isArray(json?.stages)
    ? json.stages.map((stage: Loose<{ steps: 0 }>) => number(stage?.steps))
    : [];
  return {
    name: text(name),
    device: text(json?.device),
    parameters: number(json?.parameters),
    plannedBytes: number(plannedBytes),
    steps: stages.length === 0 || stages.includes(null) ? null : stages.reduce((sum: number, steps) => sum + steps!, 0),
    evaluatedTokens: evaluated.includes(null) ? null : evaluated[0]! * evaluated[1]!,
    samples: Array.isArray(json?.samples) ? json.samples.slice(-SAMPLES).flatMap(sample) : [],
  };
}

function sample(value: Loose<Sample>): Sample[] {
  const [step, prompt, words] = [number(value?.step), text(value?.prompt), text(value?.text)];
  return step === null || prompt === null || words === null ? [] : [{ step, prompt, text: words }];
}

const text = (value: unknown): string | null => (typeof value === "string" ? value.slice(0, CHARACTERS) : null);

/** A number that JSON has; null for anything else. */
export const number = (value: unknown): number | null =>
  typeof value === "number" && Number.isFinite(value) ? value : null;

/** Whether a process trains in a folder, as far as can be told from here. */
export async function isTraining(folder: string): Promise<boolean> {
  const path = join(folder, "run.lock");
  try {
    const facts = await lstat(path);
    if (!facts.isFile()) return false;
    const owner = parseJson(await readText(path, inputLimits.config)) as ProcessIdentity;
    return Number.isSafeInteger(owner.pid) && (lives(owner) ?? Date.now() - facts.mtimeMs < SILENCE);
  } catch {
    return false;
  }
}
