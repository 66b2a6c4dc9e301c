/** Checks between the fields of a run config. */
import type { z } from "zod";
import type { LlamaConfig } from "../hf/llama_config.js";
import { checkBatches } from "./batch_checks.js";
import { entriesOf, isMix } from "./data_entries.js";
import type { runConfigSchema } from "./schema.js";

type Parsed = z.output<typeof runConfigSchema>;
type Report = (problem: string) => void;

/** Reports every conflict between well-formed fields; `model` is null if the section is absent or wrong. */
export function checkConfig(config: Parsed, model: LlamaConfig | null, report: Report): void {
  if (config.model === undefined && config.init.from === undefined) {
    report("model: expected a model, unless init.from names a checkpoint, but received nothing");
  }
  if (config.init.from !== undefined && config.init.seed !== undefined) {
    report("init: expected seed or from but received both");
  }
  if (config.eval !== undefined && config.data.val === undefined) {
    report("eval: expected held-out data in data.val but received nothing");
  }
  if (config.checkpoint.keepBest && config.data.val === undefined) {
    report("checkpoint.keepBest: expected held-out data in data.val but received nothing");
  }
  if (config.guard !== undefined && config.guard.loss === undefined && config.guard.gradNorm === undefined) {
    report("guard: expected loss, gradNorm or both but received neither");
  }
  checkParallel(config.parallel, report);
  checkEntries(config.data, report);
  checkLength(config.train, report);
  checkFractions(config.stages, report);
  checkSchedules(config, report);
  checkMuon(config, report);
  if (model !== null) checkContext(config, "model.max_position_embeddings", model.max_position_embeddings, report);
  checkBatches(config, report);
}

/** Reports another number of ranks than of devices; 1 is the default. */
function checkParallel({ ranks, devices }: Parsed["parallel"], report: Report): void {
  if (ranks === 1 || devices.length === 0 || ranks === devices.length) return;
  report(`parallel.ranks: expected ${devices.length}, one for each of parallel.devices, but received ${ranks}`);
}

/** Reports weights that do not make a mix. */
function checkEntries({ train, val }: Parsed["data"], report: Report): void {
  const entries = entriesOf(train);
  const without = entries.findIndex(({ weight }) => weight === undefined);
  if (isMix(train) && without !== -1) {
    report(`data.train.${without}.weight: expected a weight in every entry of a mix but received none`);
  }
  const weighted = val === undefined ? -1 : entriesOf(val).findIndex(({ weight }) => weight !== undefined);
  if (weighted !== -1) {
    report(`data.val.${weighted}.weight: expected none, as held-out data is read in order, but received a weight`);
  }
}

/**
 * Reports every sequence length that exceeds a model's context.
 * @param context the limit's name at its source
 * @param limit the context in positions
 */
export function checkContext(
  { batch, data, stages }: Pick<Parsed, "batch" | "data" | "stages">,
  context: string,
  limit: number,
  report: Report,
): void {
  const own = stages.map((stage) => stage.batch?.sequenceLength);
  // Held-out sequences, too, have the run's sequence length.
  const shared = data.val !== undefined || own.includes(undefined);
  const lengths: readonly (readonly [string, number | undefined])[] = [
    ["batch", shared ? batch.sequenceLength : undefined],
    ...own.map((length, index) => [`stages.${index}.batch`, length] as const),
  ];
  for (const [section, length] of lengths) {
    if (length === undefined || length <= limit) continue;
    report(`${section}.sequenceLength: expected at most ${context} (${limit}) but received ${length}`);
  }
}

function checkLength(train: Parsed["train"], report: Report): void {
  const given = (["tokens", "epochs", "steps", "flops"] as const).filter((key) => train[key] !== undefined);
  if (given.length !== 1) {
    const got = given.length === 0 ? "nothing" : given.join(" and ");
    const hint = "--set 'train={steps: 10}' replaces the section";
    report(`train: expected exactly one of tokens, epochs, steps or flops but received ${got} (${hint})`);
  }
}

function checkFractions(stages: Parsed["stages"], report: Report): void {
  const open = stages.flatMap(({ fraction }, index) => (fraction === undefined ? [index] : []));
  const sum = stages.reduce((total, { fraction }) => total + (fraction ?? 0), 0);
  // Fractions are decimals, their sum a binary float: 0.7 + 0.2 + 0.1 is not quite 1.
  const slack = 1e-9;
  if (open.length > 1) {
    const without = open.map((index) => `stages.${index}`).join(", ");
    report(`stages: expected at most one without a fraction but received ${open.length}: ${without}`);
  }
  if (sum > 1 + slack) {
    report(`stages: expected fractions that sum to at most 1 but received ${sum}`);
  } else if (open.length === 1 && sum > 1 - slack && stages.length > 1) {
    const expected = "other stages whose fractions sum to less than 1";
    report(`stages.${open[0]}: expected ${expected} but received ${sum}: nothing is left for it`);
  }
  stages.forEach(({ fraction, of }, index) => {
    if (of === undefined || fraction !== undefined) return;
    report(`stages.${index}.of: expected a fraction beside it, to be a share of ${of}, but received none`);
  });
  const units = [...new Set(stages.flatMap(({ fraction, of = "tokens" }) => (fraction === undefined ? [] : [of])))];
  if (units.length > 1) {
    report(
      `stages: expected fractions of one kind, all of tokens, steps or flops, but received ${units.join(" and ")}`,
    );
  }
}

function checkMuon({ optimizer, stages }: Parsed, report: Report): void {
  if (optimizer.type === "muon") return;
  const sections = [
    ["", optimizer],
    ...stages.map((stage, index) => [`stages.${index}.`, stage.optimizer] as const),
  ] as const;
  for (const [at, section] of sections) {
    if (section?.muon === undefined) continue;
    report(`${at}optimizer.muon: expected it for optimizer.type muon only but received it for type ${optimizer.type}`);
  }
}

function checkSchedules({ schedule, stages }: Parsed, report: Report): void {
  const check = (type: string, decayFraction: number | undefined, at: string) => {
    if (decayFraction === undefined || type === "wsd") return;
    report(`${at}schedule.decayFraction: expected it for type wsd only but received it for type ${type}`);
  };
  check(schedule.type, schedule.decayFraction, "");
  stages.forEach((stage, index) => {
    if (stage.schedule === undefined) return;
    check(stage.schedule.type ?? schedule.type, stage.schedule.decayFraction, `stages.${index}.`);
    if (!schedule.perStage) {
      report(`stages.${index}.schedule: expected none, since schedule.perStage is false, but received one`);
    }
  });
}
