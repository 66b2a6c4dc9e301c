/** Checks between the fields of a run config. */
import { show } from "../arguments.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { parameterTable } from "../hf/names.js";
import { checkBatches } from "./batch_checks.js";
import type { ConfigValues } from "./config_types.js";
import { entriesOf, givenName, isMix } from "./data_entries.js";
import { freezeProblem } from "./freeze.js";

type Report = (problem: string) => void;

/** A key at the top of a config. */
export type Section = keyof ConfigValues;

/**
 * Reports every conflict between well-formed fields.
 * @param model null if the section is absent or wrong
 * @param wrong sections that are not well-formed: what depends on them is not checked
 */
export function checkConfig(
  config: ConfigValues,
  model: LlamaConfig | null,
  report: Report,
  wrong: ReadonlySet<Section> = new Set(),
): void {
  const check = (sections: readonly Section[], run: () => void) => {
    if (!sections.some((section) => wrong.has(section))) run();
  };
  check(["model", "init"], () => checkStart(config, report));
  check(["eval", "data"], () => {
    if (config.eval === undefined || config.data.val !== undefined) return;
    report("eval: expected held-out data in data.val but received nothing");
  });
  check(["checkpoint", "data"], () => {
    if (!config.checkpoint.keepBest || config.data.val !== undefined) return;
    report("checkpoint.keepBest: expected held-out data in data.val but received nothing");
  });
  check(["guard"], () => {
    if (config.guard === undefined || config.guard.loss !== undefined || config.guard.gradNorm !== undefined) return;
    report("guard: expected loss, gradNorm or both but received neither");
  });
  check(["parallel"], () => checkParallel(config.parallel, report));
  check(["data"], () => checkEntries(config.data, report));
  check(["train"], () => checkLength(config.train, report));
  check(["stages"], () => checkFractions(config.stages, report));
  check(["stages", "schedule"], () => checkSchedules(config, report));
  check(["stages", "optimizer"], () => checkMuon(config, report));
  check(["model", "batch", "data", "stages"], () => {
    if (model !== null) checkContext(config, "model.max_position_embeddings", model.max_position_embeddings, report);
  });
  check(["model", "optimizer"], () => {
    if (model !== null) checkFreeze(config.optimizer.freeze ?? [], model, report);
  });
  check(["batch", "data", "stages"], () => checkBatches(config, report));
}

/** Reports a run that begins with no model, or in two ways. */
function checkStart({ model, init }: ConfigValues, report: Report): void {
  if (model === undefined && init.from === undefined) {
    report("model: expected a model, unless init.from names a checkpoint, but received nothing");
  }
  if (init.from !== undefined && init.seed !== undefined) report("init: expected seed or from but received both");
}

/** Reports another number of ranks than of devices; 1 is the default. */
function checkParallel({ ranks, devices }: ConfigValues["parallel"], report: Report): void {
  if (ranks === 1 || devices.length === 0 || ranks === devices.length) return;
  report(`parallel.ranks: expected ${devices.length}, one for each of parallel.devices, but received ${ranks}`);
}

/** Reports weights that do not make a mix. */
function checkEntries({ train, val }: ConfigValues["data"], report: Report): void {
  const entries = entriesOf(train);
  const without = entries.findIndex(({ weight }) => weight === undefined);
  if (isMix(train) && without !== -1) {
    report(`data.train[${without}].weight: expected a weight in every entry of a mix but received none`);
  }
  for (const [key, section] of Object.entries({ train, val })) {
    const all = section === undefined ? [] : entriesOf(section);
    const given = all.find(({ path }) => givenName(path) !== null);
    if (given === undefined || all.length === 1 || isMix(all)) continue;
    report(`data.${key}: expected ${given.path} alone, or weights in all entries, but received ${all.length} entries`);
  }
  const weighted = val === undefined ? -1 : entriesOf(val).findIndex(({ weight }) => weight !== undefined);
  if (weighted !== -1) {
    report(`data.val[${weighted}].weight: expected none, as held-out data is read in order, but received a weight`);
  }
}

/**
 * Reports every sequence length that exceeds a model's context.
 * @param context the limit's name at its source
 * @param limit the context in positions
 */
export function checkContext(
  { batch, data, stages }: Pick<ConfigValues, "batch" | "data" | "stages">,
  context: string,
  limit: number,
  report: Report,
): void {
  const own = stages.map((stage) => stage.batch?.sequenceLength);
  // Held-out sequences, too, have the run's sequence length.
  const shared = data.val !== undefined || own.includes(undefined);
  const lengths: readonly (readonly [string, number | undefined])[] = [
    ["batch", shared ? batch.sequenceLength : undefined],
    ...own.map((length, index) => [`stages[${index}].batch`, length] as const),
  ];
  for (const [section, length] of lengths) {
    if (length === undefined || length <= limit) continue;
    report(`${section}.sequenceLength: expected at most ${context} (${limit}) but received ${length}`);
  }
}

function checkLength(train: ConfigValues["train"], report: Report): void {
  const given = (["tokens", "epochs", "steps", "flops"] as const).filter((key) => train[key] !== undefined);
  if (given.length !== 1) {
    const got = given.length === 0 ? "nothing" : given.join(" and ");
    const hint = "--set 'train={steps: 10}' replaces the section";
    report(`train: expected exactly one of tokens, epochs, steps or flops but received ${got} (${hint})`);
  }
}

/** Reports lengths in steps that do not leave the rest to one stage. */
function checkSteps(stages: ConfigValues["stages"], report: Report): void {
  const counted = stages.findIndex(({ steps }) => steps !== undefined);
  const shared = stages.findIndex(({ fraction }) => fraction !== undefined);
  if (counted === -1) return;
  if (shared !== -1) {
    const [at, received] =
      stages[shared]!.steps === undefined
        ? ["stages", `steps in stages[${counted}] and a fraction in stages[${shared}]`]
        : [`stages[${shared}]`, "both"];
    report(`${at}: expected either steps or fractions but received ${received}`);
  } else if (stages.every(({ steps }) => steps !== undefined)) {
    report("stages: expected one without steps, which gets the rest of the run's length (train), but received none");
  }
}

function checkFractions(stages: ConfigValues["stages"], report: Report): void {
  checkSteps(stages, report);
  const open = stages.flatMap(({ fraction, steps }, index) => ((fraction ?? steps) === undefined ? [index] : []));
  const sum = stages.reduce((total, { fraction }) => total + (fraction ?? 0), 0);
  // Fractions are decimals, their sum a binary float: 0.7 + 0.2 + 0.1 is not quite 1.
  const slack = 1e-9;
  if (open.length > 1) {
    const without = open.map((index) => `stages[${index}]`).join(", ");
    report(`stages: expected at most one without a fraction or steps but received ${open.length}: ${without}`);
  }
  if (sum > 1 + slack) {
    report(`stages: expected fractions that sum to at most 1 but received ${sum}`);
  } else if (open.length === 1 && sum > 1 - slack && stages.length > 1) {
    const expected = "other stages whose fractions sum to less than 1";
    report(`stages[${open[0]}]: expected ${expected} but received ${sum}: nothing is left for it`);
  }
  stages.forEach(({ fraction, of }, index) => {
    if (of === undefined || fraction !== undefined) return;
    report(`stages[${index}].of: expected a fraction beside it, to be a share of ${of}, but received none`);
  });
  const units = [...new Set(stages.flatMap(({ fraction, of = "tokens" }) => (fraction === undefined ? [] : [of])))];
  if (units.length > 1) {
    report(
      `stages: expected fractions of one kind, all of tokens, steps or flops, but received ${units.join(" and ")}`,
    );
  }
}

function checkMuon({ optimizer, stages }: ConfigValues, report: Report): void {
  if (optimizer.type === "muon") return;
  const sections = [
    ["", optimizer],
    ...stages.map((stage, index) => [`stages[${index}].`, stage.optimizer] as const),
  ] as const;
  for (const [at, section] of sections) {
    if (section?.muon === undefined) continue;
    report(`${at}optimizer.muon: expected it for optimizer.type muon only but received it for type ${optimizer.type}`);
  }
}

/** Reports patterns of frozen parameters that do not fit a model. */
export function checkFreeze(patterns: readonly string[], model: LlamaConfig, report: Report): void {
  if (patterns.length === 0) return;
  const names = parameterTable(model).map(({ name }) => name);
  const problem = freezeProblem(patterns, names);
  if (problem === null) return;
  const { index, expected } = problem;
  const [key, received] = index === null ? ["", "patterns that match all"] : [`[${index}]`, show(patterns[index])];
  report(`optimizer.freeze${key}: expected ${expected} but received ${received}`);
}

function checkSchedules({ schedule, stages }: ConfigValues, report: Report): void {
  const check = (type: string, decayFraction: number | undefined, at: string) => {
    if (decayFraction === undefined || type === "wsd") return;
    report(`${at}schedule.decayFraction: expected it for type wsd only but received it for type ${type}`);
  };
  check(schedule.type, schedule.decayFraction, "");
  stages.forEach((stage, index) => {
    if (stage.schedule === undefined) return;
    check(stage.schedule.type ?? schedule.type, stage.schedule.decayFraction, `stages[${index}].`);
    if (!schedule.perStage) {
      report(`stages[${index}].schedule: expected none, since schedule.perStage is false, but received one`);
    }
  });
}
