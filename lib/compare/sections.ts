/** The tables of a comparison with what they show, in the order in which the page and the Markdown have them. */
import { buysNote, buysTable } from "./buys_table.js";
import { taskNote, taskTable } from "./evaluation_tables.js";
import type { CompareReport } from "./report.js";
import { seedNote, seedTable } from "./seed_table.js";
import { stageTable } from "./stage_table.js";
import { timeNote, timeTable } from "./time_by_part.js";
import { tuneNote, tuneTable } from "./tune_table.js";
import { runNote, runTable } from "./words.js";

/** A table under a title. */
export interface Section {
  readonly title: string;
  readonly headings: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What the table shows, a paragraph each. */
  readonly findings: readonly string[];
  /** How it is read; null: as it stands. */
  readonly note: string | null;
  /** Whether the terminal leaves it out. */
  readonly detail?: boolean;
}

/** The sections of a comparison: of seeds, rates, tasks and times only where there are any. */
export function sections(report: CompareReport): Section[] {
  const [seeds, tuning, tasks, time] = [seedTable(report), tuneTable(report), taskTable(report), timeTable(report)];
  const findings: readonly string[] = [];
  return [
    { title: "Runs", ...runTable(report), findings, note: runNote(report) },
    { title: "What each run buys", ...buysTable(report), findings, note: buysNote(report) },
    ...(seeds ? [{ title: "Seed by seed", ...seeds, findings, note: seedNote }] : []),
    ...(tuning ? [{ title: "Learning rates", ...tuning, note: tuneNote(report) }] : []),
    { title: "Stages", ...stageTable(report), findings, note: null, detail: true },
    ...(tasks ? [{ title: "Tasks", ...tasks, findings, note: taskNote }] : []),
    ...(time ? [{ title: "Where the time goes", ...time, findings: [time.finding], note: timeNote }] : []),
  ];
}
