/** A stored report or comparison, rendered anew: with today's style, scripts and tables around what it says. */
import { figureList, numberTable } from "../lib/report/html.js";
import { type Chart, renderPage } from "../lib/report/page.js";

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };
const textOf = (html: string): string => html.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => entities[name]!);
const textsOf = (html: string, tag: "th" | "td"): string[] =>
  [...html.matchAll(new RegExp(`<${tag}(?: [^>]*)?>(.*?)</${tag}>`, "gs"))].map(([, text]) => textOf(text!));

/** @throws Error for what is no page of `renderPage` */
export function renderAnew(html: string): string {
  const part = (pattern: RegExp): string => {
    const [, found] = pattern.exec(html) ?? [];
    if (found === undefined) throw new Error(`expected a page of nextpatch but received one without ${pattern.source}`);
    return found;
  };
  const charts = JSON.parse(part(/<script type="application\/json" id="charts">(.*?)<\/script>/s)) as Chart[];
  const figures = [
    ...part(/<div class="charts">\n(.*?)\n<\/div>\n/s).matchAll(/<figure( class="small")?>(.*?)<\/figure>/gs),
  ];
  return renderPage({
    title: textOf(part(/<title>(.*?)<\/title>/s)),
    before: withParts(part(/<main>\n(.*?)\n<div class="charts">/s)),
    charts: figures.map(([, small, content], index) => {
      const [, note] = /<p class="note">(.*)<\/p>$/s.exec(content!) ?? [];
      return {
        chart: charts[index]!,
        ...(note !== undefined && { note }),
        ...(small !== undefined && { small: true }),
      };
    }),
    after: withParts(part(/<div class="charts">\n.*?\n<\/div>\n(.*?)\n<\/main>/s)),
  });
}

/** HTML with its figures and its tables of numbers made again. */
function withParts(html: string): string {
  return html
    .replace(/<dl class="figures.*?<\/dl>/gs, (list) =>
      figureList(
        [...list.matchAll(/<dt>(.*?)<\/dt><dd>(.*?)<small>(.*?)<\/small>/gs)].map(([, name, value, detail]) => ({
          name: textOf(name!),
          value: textOf(value!),
          detail: textOf(detail!),
        })),
      ),
    )
    .replace(/<div class="scroll"><table class="numbers">(.*?)<\/table><\/div>/gs, (_, table: string) => {
      const [head = "", body = ""] = table.split("</thead>");
      return numberTable(
        textsOf(head, "th"),
        body
          .split("</tr>")
          .slice(0, -1)
          .map((row) => textsOf(row, "td")),
      );
    });
}
