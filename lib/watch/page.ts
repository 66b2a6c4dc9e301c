/** The page of `nextpatch watch`, and its style. What it shows comes by events: page_script.ts. */
import { chartLibrary } from "../report/chart_script.js";
import { uPlotFile } from "../report/page.js";
import { style } from "../report/style.js";
import { columns } from "./feed.js";
import { pageScript } from "./page_script.js";

/** The page as HTML: nothing of a run is in it. */
export function watchPage(): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>nextpatch watch</title>
<link rel="stylesheet" href="page.css">
</head>
<body>
<main>
<header><h1>Runs <span id="connection" role="status">connecting</span></h1><p class="subtitle" id="folder"></p></header>
<div id="runs"></div>
<p class="note" id="none" hidden>There is no run below this folder yet. One appears here when it begins.</p>
<fieldset id="against"><legend>Charts against</legend></fieldset>
<div class="charts" id="charts"></div>
<section id="times" hidden><h2>Time by part</h2><div id="parts"></div><div id="bars"></div></section>
<section id="texts" hidden><h2>Texts by the models</h2><div id="samples"></div></section>
</main>
<script src="page.js"></script>
</body>
</html>
`;
}

/** All scripts of the page. */
export function watchScript(): string {
  const names = `const columns = ${JSON.stringify(columns)};`;
  return [uPlotFile("uPlot.iife.min.js"), chartLibrary, names, pageScript].join("\n");
}

/** All styles of the page. */
export function watchStyle(): string {
  return `${uPlotFile("uPlot.min.css")}\n${style}\n${ownStyle}`;
}

const ownStyle = `
[hidden] { display: none !important; }
main { max-width: 1320px; padding-top: 24px; }
.subtitle { margin-bottom: 16px; }
#connection { margin-left: 6px; padding: 2px 9px; border-radius: 99px; font-size: 12px; font-weight: 500;
  vertical-align: 4px; color: var(--muted); border: 1px solid var(--border); }
#connection.live { color: var(--green); border-color: currentColor; }
#connection.lost { color: var(--red); border-color: currentColor; }
#runs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(300px, 100%), 1fr)); gap: 10px;
  max-height: 390px; overflow: auto; }
.run { display: grid; grid-template-columns: auto 1fr auto; gap: 2px 10px; align-items: center; padding: 10px 12px;
  background: var(--surface); border: 1px solid var(--border); border-radius: 8px; cursor: pointer; }
.run:has(:focus-visible) { outline: 2px solid var(--blue); }
.run input { appearance: none; margin: 0; width: 14px; height: 14px; border: 2px solid var(--border); border-radius: 4px;
  outline: none; cursor: pointer; }
.run input:checked { background: var(--own); border-color: var(--own); }
.run b { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.run .state { font-size: 12px; color: var(--muted); }
.run .state.training, .run .state.starting { color: var(--green); }
.run .state.stopped { color: var(--orange); }
.run progress { grid-column: 1 / -1; appearance: none; width: 100%; height: 4px; margin: 4px 0; border: 0;
  border-radius: 2px; overflow: hidden; background: var(--grid); }
.run progress::-webkit-progress-bar { background: var(--grid); }
.run progress::-webkit-progress-value { background: var(--own); }
.run progress::-moz-progress-bar { background: var(--own); }
.run small { grid-column: 1 / -1; color: var(--muted); font-size: 12px; font-variant-numeric: tabular-nums; }
#against { display: inline-flex; align-items: center; margin: 20px 0 18px; padding: 0; border: 1px solid var(--border);
  border-radius: 8px; overflow: hidden; }
#against legend { float: left; padding: 0 12px; color: var(--muted); font-size: 13px; }
#against label { padding: 5px 14px; border-left: 1px solid var(--border); font-size: 13px; cursor: pointer; }
#against label:has(:checked) { background: var(--blue); color: var(--background); }
#against label:has(:focus-visible) { outline: 2px solid var(--text); outline-offset: -2px; }
#against input { position: absolute; opacity: 0; }
figure.half { grid-column: span 3; }
figure.wide { grid-column: span 4; }
.charts { gap: 20px 28px; }
.charts .u-legend { min-height: 26px; max-height: 78px; overflow: auto; }
.charts .small .u-legend { display: none; }
#parts { display: flex; flex-wrap: wrap; gap: 4px 16px; margin-bottom: 8px; font-size: 12px; }
.swatch { display: inline-block; width: 10px; height: 10px; margin-right: 6px; border-radius: 3px; }
.bar { display: grid; grid-template-columns: minmax(90px, 200px) 1fr; gap: 12px; align-items: center; margin: 6px 0; }
.bar span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-size: 13px; }
.bar div { display: flex; height: 22px; border-radius: 5px; overflow: hidden; background: var(--grid); }
.bar i { overflow: hidden; color: var(--background); font: 11px/22px system-ui, sans-serif; text-align: center; }
#samples h3 { margin: 16px 0 6px; font-size: 13px; font-weight: 500; color: var(--muted); overflow-wrap: anywhere; }
#samples pre { max-height: 220px; }
@media (max-width: 900px) { figure.half { grid-column: span 6; } }
@media (max-width: 760px) { figure.wide { grid-column: span 6; } }
@media (max-width: 620px) {
  #runs { max-height: 300px; }
  #against { display: flex; }
  #against legend { display: none; }
  #against label { flex: 1; padding: 6px 4px; text-align: center; border-left: 0; border-right: 1px solid var(--border); }
  .bar { grid-template-columns: 1fr; gap: 2px; }
}
`;
