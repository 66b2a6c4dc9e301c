/**
 * A self-contained HTML page with charts: style, script, the uPlot library and the data are inside, and a content
 * policy keeps it from loading anything.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chartScript } from "./chart_script.js";
import { escapeHtml, scriptJson } from "./format.js";
import { style } from "./style.js";

/** A line of a chart. */
export interface ChartSeries {
  readonly label: string;
  /** One of the page's colours: an accent for the main lines, grey for secondary ones. */
  readonly color: "blue" | "orange" | "green" | "purple" | "grey" | "red" | "teal" | "pink";
  /** One value per x; null or NaN: no value. Neighbouring values are joined across gaps. */
  readonly values: readonly (number | null)[];
  /** Whether each value is marked by a dot, for few, separate measurements. */
  readonly dots?: boolean;
  readonly dashed?: boolean;
}

/** A line chart. Charts of a page with the same `xLabel` share the cursor. */
export interface Chart {
  readonly title: string;
  readonly xLabel: string;
  /** Absent where the title says it. */
  readonly yLabel?: string;
  /** Ascending. */
  readonly x: readonly number[];
  readonly series: readonly ChartSeries[];
  /** Vertical lines in ascending order, each with a label, which may be empty; grey unless they belong to a series. */
  readonly marks: readonly { readonly x: number; readonly label: string; readonly color?: ChartSeries["color"] }[];
  /** Whether x has whole numbers only, fewer than a thousand: no tick lies between two of them. */
  readonly wholeX?: boolean;
  /** The top of the y axis, even if lines go beyond it. Default: above all lines. */
  readonly top?: number;
  /** Height in pixels of the plot. */
  readonly height: number;
}

/** A page. `before` and `after` are HTML around the charts, escaped by the caller. */
export interface Page {
  readonly title: string;
  readonly before: string;
  /** Charts with a line of HTML under each; `small` ones are side by side. */
  readonly charts: readonly { readonly chart: Chart; readonly note?: string; readonly small?: boolean }[];
  readonly after: string;
}

const require = createRequire(import.meta.url);
/** A file of the chart library. */
export const uPlotFile = (name: "uPlot.min.css" | "uPlot.iife.min.js"): string =>
  readFileSync(require.resolve(`uplot/dist/${name}`), "utf8");

/** The page as one HTML document. */
export function renderPage({ title, before, charts, after }: Page): string {
  const figures = charts.map(({ chart, note, small }, index) => {
    const caption = `<figcaption><h2>${escapeHtml(chart.title)}</h2></figcaption>`;
    const text = note === undefined ? "" : `<p class="note">${note}</p>`;
    const size = small ? ' class="small"' : "";
    return `<figure${size}>${caption}<div class="chart" data-chart="${index}"></div>${text}</figure>`;
  });
  const policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${escapeHtml(title)}</title>
<style>${uPlotFile("uPlot.min.css")}</style>
<style>${style}</style>
</head>
<body>
<main>
${before}
<div class="charts">
${figures.join("\n")}
</div>
${after}
</main>
<script type="application/json" id="charts">${scriptJson(charts.map(({ chart }) => chart))}</script>
<script>${uPlotFile("uPlot.iife.min.js")}</script>
<script>${chartScript}</script>
</body>
</html>
`;
}
