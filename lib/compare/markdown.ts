/** `comparison.md`: the same numbers as the page, for places that cannot show HTML. */
import { stringify } from "yaml";
import { formatCount, formatDuration, formatLoss } from "../report/format.js";
import { activationNote, activationTable, taskNote, taskTable } from "./evaluation_tables.js";
import type { CurvePoint, RunResult } from "./readings.js";
import type { CompareReport } from "./report.js";
import { stageEnds, stageTable } from "./stage_table.js";
import { timeFinding, timeNote, timeTable } from "./time_by_part.js";
import { conditions, namedRuns, notes, readings, runTable } from "./words.js";

/** The most points of a curve that a table shows; the page and the JSON have all. */
const curvePoints = 16;

export function renderMarkdown(report: CompareReport): string {
  const { config, plan, comparison } = report;
  const table = runTable(report);
  const active = activationTable(report);
  const { baseline, patch, equalCost } = comparison;
  const drawn = namedRuns(report).filter(({ run }) => run === baseline || run === patch || run === equalCost);
  const curves = drawn.map(({ label, run }) => `### ${label}\n\n${curveTable(run)}`);
  const stages = stageTable(report);
  const boundaries = stageEnds(plan.patch, patch).map(
    ({ patchSize, point: { tokens, flops, seconds } }) =>
      `The stage with K = ${patchSize} of "${plan.patch.label}" ends at ${formatCount(tokens)} tokens, ` +
      `${formatCount(flops)} FLOP, ${formatDuration(seconds)}.`,
  );
  return `# ${config.name}: patch-level against token-level training

${figureLines(report)}

${markdownTable(table.headings, table.rows)}

Passes are over the training data; differences and × are against the token-level run.

${markdownTable(stages.headings, stages.rows)}

${notes.join("\n\n")}

${taskLines(report)}## Where the time goes

${timeLines(report)}

${timeNote}

## Validation loss

${boundaries.join(" ")} The curves drawn over each other are in \`comparison.html\`, all their points in \
\`comparison.json\`.

${curves.join("\n\n")}

## Active neurons

${markdownTable(active.headings, active.rows)}

${activationNote(report)}

## Measured on

${markdownTable(["What", "Value"], conditions(report))}

## Config

\`\`\`yaml
${stringify(config)}\`\`\`
`;
}

/** The section of the tasks, if any were scored. */
function taskLines(report: CompareReport): string {
  const table = taskTable(report);
  return table === null ? "" : `## Tasks\n\n${markdownTable(table.headings, table.rows)}\n\n${taskNote}\n\n`;
}

/** The summary for the terminal: the readings, and where the time goes. */
export function readingLines(report: CompareReport): string {
  return `${figureLines(report)}\n\n${timeLines(report)}`;
}

function timeLines(report: CompareReport): string {
  const { headings, rows } = timeTable(report);
  return `${markdownTable(headings, rows)}\n\n${timeFinding(report)}`;
}

/** A line for every reading: name, value, and the numbers it is based on. */
function figureLines(report: CompareReport): string {
  return readings(report)
    .map(({ name, value, detail }) => `- ${name}: ${value} (${detail})`)
    .join("\n");
}

function curveTable({ curve }: RunResult): string {
  const every = Math.ceil(curve.length / curvePoints);
  // Counted from the end, so that the last point is shown.
  const shown = curve.filter((_, index) => (curve.length - 1 - index) % every === 0);
  const row = ({ tokens, flops, seconds, valLoss }: CurvePoint) => [
    formatCount(tokens),
    formatCount(flops),
    formatDuration(seconds),
    formatLoss(valLoss),
  ];
  return markdownTable(["Tokens", "FLOP", "Time", "Loss"], shown.map(row));
}

/** A table whose columns are as wide as their longest cell, so that it is readable unrendered, too. */
export function markdownTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [headings, ...rows].map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const width = headings.map((_, column) => Math.max(3, ...cells.map((row) => row[column]!.length)));
  const pad = (cell: string, column: number) =>
    column === 0 ? cell.padEnd(width[column]!) : cell.padStart(width[column]!);
  const line = (row: readonly string[]) => `| ${row.map(pad).join(" | ")} |`;
  // Numbers are right-aligned, as the colon says; the row's name is left-aligned.
  const rule = width.map((count, column) => (column === 0 ? "-".repeat(count + 2) : `${"-".repeat(count + 1)}:`));
  return [line(cells[0]!), `|${rule.join("|")}|`, ...cells.slice(1).map(line)].join("\n");
}
