/** What a run's `report.json` keeps of the time before a resumption: where it was trained, and texts by the model. */
import { inputLimits } from "../disk/input_limits.js";
import { parseJson } from "../disk/json.js";
import { readText } from "../disk/read_text.js";
import type { Environment } from "../report/environment.js";
import type { Sample } from "../report/run_facts.js";

/** Samples that are kept, the latest ones. */
const KEPT = 20;

export interface Remembered {
  readonly environments: readonly Environment[];
  readonly samples: readonly Sample[];
}

/** Reads it; what is missing or damaged is nothing. @param step samples of later steps do not count */
export async function readRemembered(path: string, step: number): Promise<Remembered> {
  try {
    const json = parseJson(await readText(path, inputLimits.smallJson)) as Partial<Record<keyof Remembered, unknown>>;
    return {
      environments: listOf(json.environments, isEnvironment),
      samples: listOf(json.samples, isSample).filter((sample) => sample.step <= step),
    };
  } catch {
    return { environments: [], samples: [] };
  }
}

function listOf<T>(value: unknown, is: (item: object) => item is object & T): T[] {
  return Array.isArray(value)
    ? value.filter((item): item is object & T => typeof item === "object" && item !== null && is(item))
    : [];
}

function isSample(item: object): item is Sample {
  const { step, prompt, text } = item as Partial<Sample>;
  return Number.isSafeInteger(step) && typeof prompt === "string" && typeof text === "string";
}

const texts = ["device", "precision", "processor", "system", "node", "nextpatch", "date"] as const;

function isEnvironment(item: object): item is Environment {
  const found = item as Partial<Environment>;
  return (
    texts.every((key) => typeof found[key] === "string") &&
    (["memory", "trainTokens", "valTokens"] as const).every((key) => typeof found[key] === "number") &&
    typeof found.libraries === "object" &&
    found.libraries !== null
  );
}

/** The samples with another one; one of the same step and prompt takes the place of the earlier. */
export function withSample(samples: readonly Sample[], sample: Sample): Sample[] {
  const others = samples.filter(({ step, prompt }) => step !== sample.step || prompt !== sample.prompt);
  return [...others, sample].slice(-KEPT);
}

/** The environments with another one, unless the last is the same but for its date. */
export function withEnvironment(environments: readonly Environment[], environment: Environment): Environment[] {
  const last = environments.at(-1);
  const undated = (each: Environment) => JSON.stringify({ ...each, date: "" });
  if (last !== undefined && undated(last) === undated(environment)) return [...environments];
  return [...environments, environment];
}
