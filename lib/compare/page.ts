/** `comparison.html`: the answer, the readings, the curves of all arms in the same charts, and the environment. */
import { escapeHtml } from "../report/format.js";
import { factTable, figureList, numberTable, textTable } from "../report/html.js";
import { renderPage } from "../report/page.js";
import { answer } from "./answer.js";
import { lossCharts, lossNote, sweepChart, sweepNote } from "./charts.js";
import { activationChart, activationNote } from "./evaluation_tables.js";
import { readings } from "./figures.js";
import type { CompareReport } from "./report.js";
import { drawnArms, reportMethods } from "./report_arms.js";
import { sampleBlocks, sampleNote } from "./sample_blocks.js";
import { type Section, sections } from "./sections.js";
import { conditions, configText, notes } from "./words.js";

/** The page as one self-contained HTML document. */
export function renderComparison(report: CompareReport): string {
  const { config, comparison } = report;
  const title = `${config.name}: patch-level against token-level training`;
  return renderPage({
    title,
    before: `<header><h1>${escapeHtml(title)}</h1>
<p class="answer">${escapeHtml(answer(report))}</p></header>
${figures(report)}
${sections(report).map(section).join("\n")}`,
    charts: [
      ...lossCharts(report).map((chart) => ({ chart, note: lossNote })),
      { chart: activationChart(drawnArms(report)), note: escapeHtml(activationNote(report)) },
      ...(comparison.sweep === undefined ? [] : [{ chart: sweepChart(report), note: sweepNote }]),
    ],
    after: `${samples(report)}<section><h2>How to read this</h2>${notes(report).map(paragraph).join("")}</section>
<section><h2>Measured on</h2>${factTable(conditions(report))}</section>
<section><h2>Config</h2><pre>${escapeHtml(configText(report))}</pre></section>`,
  });
}

/** The readings of every method, under its name if there are several. */
function figures(report: CompareReport): string {
  const methods = reportMethods(report);
  return methods
    .map((each) => {
      const name = methods.length > 1 || report.comparison.recipes ? `<h2>${escapeHtml(each.method.label)}</h2>` : "";
      return `${name}${figureList(readings(report, each))}`;
    })
    .join("\n");
}

function section({ title, headings, rows, findings, note }: Section): string {
  const texts = [...findings, ...(note === null ? [] : [note])].map(paragraph).join("");
  return `<section><h2>${escapeHtml(title)}</h2>${numberTable(headings, rows)}${texts}</section>`;
}

/** The continuations of each text under each other: beside each other, they would be too narrow to read. */
function samples(report: CompareReport): string {
  const blocks = sampleBlocks(report);
  if (blocks.length === 0) return "";
  const tables = blocks.map(({ prompt, continuations }) => {
    const rows = continuations.map(({ label, text }): [string, string] => [label, text]);
    return textTable(["Text", prompt], rows);
  });
  return `<section><h2>Texts</h2>${paragraph(sampleNote(report))}${tables.join("\n")}</section>\n`;
}

const paragraph = (text: string) => `<p class="note">${escapeHtml(text)}</p>`;
