/** `nextpatch compare`: measures what patch-level training costs and what it loses or gains. */
import type { Command } from "commander";
import { ComparisonInterrupted, compare } from "../compare/compare.js";
import { taskTable } from "../compare/evaluation_tables.js";
import { markdownTable, readingLines } from "../compare/markdown.js";
import { parseSweep } from "../compare/sweep.js";
import { runTable } from "../compare/words.js";
import { loadRunConfig } from "../config/config.js";
import type { Trainer } from "../train/trainer.js";
import { type OverrideFlags, overridesOf, withOverrides } from "./arguments.js";
import type { CliIo } from "./io.js";
import { RunSignals } from "./run_signals.js";
import { fromFlags } from "./usage.js";

interface Flags extends OverrideFlags {
  readonly equalCost?: boolean;
  readonly verifyData?: boolean;
  readonly sweep?: string[];
  readonly tasks?: string[];
}

export function registerCompare(program: Command, io: CliIo): void {
  const command = program
    .command("compare")
    .description(
      "train token by token and in the config's two stages, and compare cost and loss; run it again to continue",
    )
    .argument("<config>", "a config with two stages: patchSize above 1, then patchSize 1")
    .option("--equal-cost", "also train in stages at the same FLOPs as the token-level run")
    .option("--verify-data", "read every byte of the data first, and compare it with the hashes in dataset.json")
    .option("--tasks <file.jsonl...>", "also score each run's final model on tasks, as eval --tasks does")
    .option("--sweep <axis...>", "also run every combination, for example --sweep patchSize=2,4,8 fraction=0.5,0.8");
  withOverrides(command).action(async (path: string, flags: Flags) => run(path, flags, io));
}

async function run(path: string, flags: Flags, io: CliIo): Promise<void> {
  const config = await loadRunConfig(path, { set: overridesOf(flags) });
  const texts = flags.sweep;
  const sweep = texts && (await fromFlags("parseSweep", { texts: "--sweep" }, () => parseSweep(texts)));

  let current: Trainer | undefined;
  const signals = new RunSignals(config, io, () => current?.requestCheckpoint());
  const progress = io.progress("compare");
  try {
    const { comparison, files, report } = await compare(config, {
      equalCost: flags.equalCost === true,
      verifyData: flags.verifyData === true,
      ...(sweep && { sweep }),
      ...(flags.tasks && { tasks: flags.tasks }),
      signal: signals.signal,
      onRun: (trainer) => {
        current = trainer;
      },
      log: io.log,
      onProgress: ({ done, total, note }) => progress.update(done, total, note),
    });
    progress.stop();
    const tables = [runTable(report), taskTable(report)].flatMap((table) =>
      table === null ? [] : markdownTable(table.headings, table.rows),
    );
    io.result(
      `${tables.join("\n\n")}\n\n${readingLines(report)}\n\npage: ${files.html}\ntext: ${files.markdown}\n` +
        `data: ${files.json}`,
      comparison,
    );
  } catch (error) {
    if (!(error instanceof ComparisonInterrupted)) throw error;
    throw new Error(`${error.message}; the same command goes on from there`, { cause: error });
  } finally {
    progress.stop();
    signals.stop();
  }
}
