/** What there is to know of a run beside its metrics: `report.json`, from which pages are made. */
import { stringify } from "yaml";
import type { RunConfig } from "../config/config.js";
import { entriesOf } from "../config/data_entries.js";
import type { ResolvedStage } from "../config/stages.js";
import { type Environment, environmentFacts } from "./environment.js";
import { formatBytes } from "./format.js";

/** A text that the model wrote after a step. */
export interface Sample {
  readonly step: number;
  readonly prompt: string;
  readonly text: string;
}

/** The held-out sequences of each evaluation, and their length in tokens. */
export interface EvaluatedTokens {
  readonly sequences: number;
  readonly positions: number;
}

export interface RunFacts {
  readonly config: RunConfig;
  readonly stages: readonly ResolvedStage[];
  /** What else there is to know, in sentences, such as a change of the config. */
  readonly notes: readonly string[];
  /** The model's number of parameters. */
  readonly parameters: number;
  /** Device and precision as text, such as `cpu (AMD EPYC 9654), fp32`. */
  readonly device: string;
  /** Where the run was trained, from its beginning on: several if it was resumed elsewhere. */
  readonly environments: readonly Environment[];
  /** Null: nothing is evaluated. */
  readonly evaluated: EvaluatedTokens | null;
  /** Bytes of the device's memory: planned, and in use at most so far. */
  readonly memory: { readonly plannedBytes: number; readonly peakBytes: number };
  /** Texts by the model, the latest last. */
  readonly samples: readonly Sample[];
}

/** How many tokens a validation loss is on; null: nothing is evaluated. */
export function evaluatedTokens({ evaluated }: Pick<RunFacts, "evaluated">): number | null {
  return evaluated && evaluated.sequences * evaluated.positions;
}

/** The conditions of a run, in words. */
export function runConditions(facts: RunFacts): [string, string][] {
  const { config, environments, evaluated, memory } = facts;
  const { trainTokens, valTokens } = environments.at(-1)!;
  const curve = evaluated && `; evaluated on the first ${evaluated.sequences} sequences of ${evaluated.positions}`;
  return [
    ...environmentFacts(environments),
    [
      "Memory",
      `${formatBytes(memory.plannedBytes)} planned of the device, ${formatBytes(memory.peakBytes)} in use at most`,
    ],
    ["Training data", `${dataText(config.data.train)}: ${trainTokens} tokens`],
    ...(evaluated && config.data.val !== undefined
      ? [["Held-out data", `${dataText(config.data.val)}: ${valTokens} tokens${curve}`] as [string, string]]
      : []),
    ["First weights", "from" in config.init ? `those of ${config.init.from}` : `random, of seed ${config.init.seed}`],
  ];
}

/** A section of a config's data, as text. */
export function dataText(section: RunConfig["data"]["train"]): string {
  return entriesOf(section)
    .map(({ path, weight }) => (weight === undefined ? path : `${path} (weight ${weight})`))
    .join(", ");
}

/** A run's config as YAML. */
export const configYaml = ({ config }: Pick<RunFacts, "config">): string => stringify(config);
