/** Pieces of a page's HTML; every text is escaped here. */
import { escapeHtml } from "./format.js";

/** A highlighted number, with its name above and what it is based on below. */
export interface Figure {
  readonly name: string;
  readonly value: string;
  readonly detail: string;
}

export function figureList(figures: readonly Figure[]): string {
  const items = figures.map(
    ({ name, value, detail }) =>
      `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}<small>${escapeHtml(detail)}</small></dd></div>`,
  );
  return `<dl class="figures">${items.join("")}</dl>`;
}

/** A table of numbers; a row shorter than the headings is filled with dashes. */
export function numberTable(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const row = (tag: string, cells: readonly (string | number)[]) =>
    `<tr>${headings.map((_, index) => `<${tag}>${escapeHtml(String(cells[index] ?? "–"))}</${tag}>`).join("")}</tr>`;
  return `<div class="scroll"><table class="numbers"><thead>${row("th", headings)}</thead>
<tbody>${rows.map((cells) => row("td", cells)).join("\n")}</tbody></table></div>`;
}

/** Texts under a heading, each with its name, as they stand. */
export function textTable(heading: readonly [string, string], texts: readonly (readonly [string, string])[]): string {
  const row = ([name, text]: readonly [string, string]) =>
    `<tr><th>${escapeHtml(name)}</th><td>${escapeHtml(text)}</td></tr>`;
  return `<table class="texts"><thead>${row(heading)}</thead>
<tbody>${texts.map(row).join("\n")}</tbody></table>`;
}

/** A list of names and descriptions. */
export function factTable(facts: readonly (readonly [string, string])[]): string {
  const rows = facts.map(([name, value]) => `<tr><th>${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`);
  return `<table class="facts"><tbody>${rows.join("\n")}</tbody></table>`;
}
