/** `comparison.md`: the same numbers as the page, for places that cannot show HTML; and the terminal's summary. */
import { formatCount, formatLoss } from "../report/format.js";
import { answer } from "./answer.js";
import { activationNote, activationTable } from "./evaluation_tables.js";
import { readings } from "./figures.js";
import { formatSeconds } from "./format.js";
import type { CompareReport } from "./report.js";
import { drawnArms, reportMethods } from "./report_arms.js";
import type { CurvePoint, RunResult } from "./run_result.js";
import { type SampleBlock, sampleBlocks, sampleNote } from "./sample_blocks.js";
import { type Section, sections } from "./sections.js";
import { stageEnds } from "./stage_table.js";
import { conditions, configText, notes } from "./words.js";

/** The most points of a curve that a table shows; the page and the JSON have all. */
const curvePoints = 16;

export function renderMarkdown(report: CompareReport): string {
  const { config } = report;
  const active = activationTable(report);
  const curves = drawnArms(report).map(({ label, run }) => `### ${label}\n\n${curveTable(run)}`);
  const blocks = sampleBlocks(report);
  const texts =
    blocks.length === 0 ? "" : `## Texts\n\n${sampleNote(report)}\n\n${blocks.map(sampleText).join("\n\n")}\n\n`;
  return `# ${config.name}: patch-level against token-level training

${answer(report)}

${figureLines(report)}

${sections(report)
  .map((each) => `## ${each.title}\n\n${sectionText(each)}`)
  .join("\n\n")}

## Validation loss

${stageLines(report)} The curves drawn over each other are in \`comparison.html\`, all their points in \
\`comparison.json\`.

${curves.join("\n\n")}

## Active neurons

${markdownTable(active.headings, active.rows)}

${activationNote(report)}

${texts}## How to read this

${notes(report).join("\n\n")}

## Measured on

${markdownTable(["What", "Value"], conditions(report))}

## Config

\`\`\`yaml
${configText(report)}\`\`\`
`;
}

/** The summary for the terminal: tables and what they show, then the readings, and last what they come to. */
export function summary(report: CompareReport): string {
  const tables = sections(report).filter(({ detail }) => !detail);
  return [...tables.map((each) => sectionText({ ...each, note: null })), figureLines(report), answer(report)].join(
    "\n\n",
  );
}

function sectionText({ headings, rows, findings, note }: Section): string {
  return [markdownTable(headings, rows), ...findings, ...(note === null ? [] : [note])].join("\n\n");
}

/** Where the stages of the staged runs end. */
function stageLines(report: CompareReport): string {
  return reportMethods(report)
    .flatMap(({ method: { run: arm }, result }) =>
      stageEnds(arm, result).map(
        ({ patchSize, point: { tokens, flops, seconds } }) =>
          `The stage with K = ${patchSize} of "${arm.label}" ends at ${formatCount(tokens)} tokens, ` +
          `${formatCount(flops)} FLOP${seconds === null ? "" : `, ${formatSeconds(seconds)}`}.`,
      ),
    )
    .join(" ");
}

/** A line for every reading: name, value, and the numbers it is based on; under each method's name if there are several. */
function figureLines(report: CompareReport): string {
  const methods = reportMethods(report);
  return methods
    .map((each) => {
      const lines = readings(report, each).map(({ name, value, detail }) => `- ${name}: ${value} (${detail})`);
      return [...(methods.length > 1 || report.comparison.recipes ? [`${each.method.label}:\n`] : []), ...lines].join(
        "\n",
      );
    })
    .join("\n\n");
}

function curveTable({ curve }: RunResult): string {
  const every = Math.ceil(curve.length / curvePoints);
  // Counted from the end, so that the last point is shown.
  const shown = curve.filter((_, index) => (curve.length - 1 - index) % every === 0);
  const row = ({ tokens, flops, seconds, valLoss }: CurvePoint) => [
    formatCount(tokens),
    formatCount(flops),
    formatSeconds(seconds),
    formatLoss(valLoss),
  ];
  return markdownTable(["Tokens", "FLOP", "Time", "Loss"], shown.map(row));
}

/** A text and its continuations, fenced: they may hold any characters. */
function sampleText({ prompt, continuations }: SampleBlock, index: number): string {
  const all = [{ label: "prompt", text: prompt }, ...continuations];
  const runs = all.flatMap(({ text }) => text.match(/`+/g) ?? []);
  const fence = "`".repeat(Math.max(3, ...runs.map(({ length }) => length + 1)));
  const parts = all.map(({ label, text }) => `${label}:\n\n${fence}text\n${text}\n${fence}`);
  return [`### Text ${index + 1}`, ...parts].join("\n\n");
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
