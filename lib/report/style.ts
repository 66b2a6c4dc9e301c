/** The style of a page: light or dark as the reader's system, light in print. */
export const style = `
:root {
  --background: #ffffff; --surface: #f6f7f9; --text: #1b1f24; --muted: #636c76; --grid: #e4e7eb; --border: #d8dce1;
  --blue: #2563c9; --orange: #c2560c; --green: #14804a; --purple: #7c3fc4; --grey: #5d6773; --red: #c22f3d;
  --teal: #0b7a8a; --pink: #b83280;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --background: #14171b; --surface: #1d2127; --text: #e6e9ed; --muted: #9aa4af; --grid: #2a3038; --border: #353c45;
    --blue: #6ea8fe; --orange: #f0994e; --green: #55c98b; --purple: #b78cf2; --grey: #a3adb8; --red: #f47d86;
    --teal: #4fc3d4; --pink: #ee85bd;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--background); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 48px; }
h1 { margin: 0; font-size: 28px; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 0 0 8px; font-size: 16px; font-weight: 600; }
.subtitle { margin: 4px 0 24px; color: var(--muted); overflow-wrap: anywhere; }
.answer { margin: 10px 0 24px; font-size: 18px; max-width: 76ch; overflow-wrap: anywhere; }
.figures { --columns: var(--wide); display: flex; flex-wrap: wrap; gap: 12px; margin: 0 0 28px; }
.figures div { flex: 1 1 calc(100% / var(--columns) - 12px); min-width: 0; background: var(--surface); border: 1px solid var(--border); border-radius: 8px; padding: 10px 14px; }
.figures dt { color: var(--muted); font-size: 13px; }
.figures dd { margin: 0; font-size: 22px; font-weight: 600; font-variant-numeric: tabular-nums; }
.figures dd small { display: block; color: var(--muted); font-size: 12px; font-weight: 400; }
.charts { display: grid; grid-template-columns: repeat(6, 1fr); gap: 28px 20px; }
figure { grid-column: span 6; min-width: 0; margin: 0; break-inside: avoid; }
figure.small { grid-column: span 2; }
.chart { width: 100%; }
.note { margin: 8px 0 0; color: var(--muted); font-size: 13px; max-width: 82ch; }
.u-legend { font-size: 12px; text-align: left; font-variant-numeric: tabular-nums; }
.u-inline tbody { display: flex; flex-wrap: wrap; }
/* Its title says what its one line is. */
.small .chart:not(:hover) .u-legend { visibility: hidden; }
.u-legend th { font-weight: 500; }
.u-inline.u-live th::after { content: none; }
.u-legend .u-marker { border-radius: 2px; print-color-adjust: exact; }
/* What the lines are drawn against belongs to the values under the pointer: it comes last, and with them. */
.u-legend .u-series:first-child { order: 1; visibility: hidden; }
.u-legend .u-series:first-child .u-marker { display: none; }
.chart:hover .u-legend .u-series:first-child { visibility: visible; }
.u-select { background: color-mix(in srgb, var(--blue) 15%, transparent); }
.u-hz .u-cursor-x, .u-hz .u-cursor-y { border-color: var(--muted); }
section { margin-top: 36px; }
h2 { break-after: avoid; }
tr { break-inside: avoid; }
section + .charts { margin-top: 36px; }
.scroll { overflow-x: auto; break-inside: avoid; }
table.numbers { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
table.numbers th, table.numbers td { padding: 6px 8px; border-bottom: 1px solid var(--border); text-align: right;
  white-space: nowrap; }
table.numbers th { color: var(--muted); font-size: 13px; font-weight: 500; }
table.numbers th:first-child, table.numbers td:first-child { text-align: left; }
table.facts { border-collapse: collapse; font-size: 13px; overflow-wrap: anywhere; }
table.facts th { padding: 3px 20px 3px 0; color: var(--muted); font-weight: 500; text-align: left; vertical-align: top;
  white-space: nowrap; }
table.facts td { padding: 3px 0; }
table.texts { width: 100%; margin-top: 16px; border-collapse: collapse; break-inside: avoid; font-size: 13px; }
table.texts th { width: 170px; padding: 6px 16px 6px 0; color: var(--muted); font-weight: 500; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
table.texts td { padding: 6px 0; white-space: pre-wrap; overflow-wrap: anywhere; }
table.texts tr { border-bottom: 1px solid var(--border); }
table.texts thead td { font-weight: 600; }
pre { margin: 0; padding: 14px 16px; background: var(--surface); border: 1px solid var(--border); border-radius: 8px;
  font: 13px/1.55 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere;
  max-height: 480px; overflow: auto; }
pre b { color: var(--blue); }
@media (max-width: 940px) {
  .figures { --columns: var(--middle); }
}
@media (max-width: 760px) { figure.small { grid-column: span 6; } }
@media screen and (max-width: 620px) {
  main { padding: 20px 16px 32px; }
  .figures { --columns: 2; gap: 8px; }
  .figures.odd div:first-child { flex-basis: 100%; }
  /* Each row of a table is a block: its first cell is the title, and every other one has its heading beside it. */
  table.numbers, table.numbers tbody, table.numbers tr, table.numbers td { display: block; width: auto; }
  table.numbers thead { display: none; }
  table.numbers tr { padding: 8px 0; border-bottom: 1px solid var(--border); }
  table.numbers td { display: flex; justify-content: space-between; gap: 16px; padding: 2px 0; border: 0;
    white-space: normal; overflow-wrap: anywhere; }
  table.numbers td::before { content: attr(data-name); color: var(--muted); font-size: 13px; text-align: left; }
  table.numbers td:first-child { font-weight: 600; }
  table.facts tr, table.facts th, table.facts td, table.texts tr, table.texts th, table.texts td { display: block;
    width: auto; }
  table.facts th, table.texts th { padding: 6px 0 0; }
}
@media print {
  main { max-width: none; padding: 0; }
  .figures { gap: 8px; }
  .figures dd { font-size: 18px; }
  pre { max-height: none; overflow: visible; }
  .scroll { overflow: visible; }
  table.numbers { font-size: 10px; }
  table.numbers th { font-size: 10px; white-space: normal; vertical-align: bottom; }
  table.numbers th, table.numbers td { padding: 4px 5px; }
}
`;
