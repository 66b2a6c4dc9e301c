/** Pieces of a page's HTML; every text is escaped here. */
import { escapeHtml } from "./format.js";

/** A highlighted number, with its name above and what it is based on below. */
export interface Figure {
  readonly name: string;
  readonly value: string;
  readonly detail: string;
}

/**
 * Highlighted numbers side by side. How many stand in a row depends on the width (style.ts), and is chosen so that the
 * last row never has one alone; in two columns, the first of an odd number has a row to itself.
 */
export function figureList(figures: readonly Figure[]): string {
  const { length } = figures;
  const wide = length <= 6 ? length : Math.ceil(length / 2);
  const middle = [3, 4, 2].find((columns) => length % columns !== 1) ?? 3;
  const items = figures.map(
    ({ name, value, detail }) =>
      `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}<small>${escapeHtml(detail)}</small></dd></div>`,
  );
  const odd = length % 2 === 1 ? " odd" : "";
  return `<dl class="figures${odd}" style="--wide:${wide};--middle:${middle}">${items.join("")}</dl>`;
}

/**
 * A table of numbers; a row shorter than the headings is filled with dashes. Where it is narrow, each row is a block with
 * its first cell as title, and every other cell has its heading beside it: `data-name`.
 */
export function numberTable(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const names = headings.map((heading) => escapeHtml(heading));
  const row = (cells: readonly (string | number)[]) =>
    `<tr>${names.map((name, index) => `<td data-name="${name}">${escapeHtml(String(cells[index] ?? "–"))}</td>`).join("")}</tr>`;
  return `<div class="scroll"><table class="numbers"><thead><tr>${names.map((name) => `<th>${name}</th>`).join("")}</tr></thead>
<tbody>${rows.map(row).join("\n")}</tbody></table></div>`;
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
