import { readFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { figureList, numberTable } from "../../lib/report/html.js";
import { renderPage } from "../../lib/report/page.js";
import { storedPages } from "../../scripts/pages.js";
import { renderAnew } from "../../scripts/stored_page.js";

describe("stored pages", () => {
  it.each(storedPages())("%s is as `npm run pages` renders it", (file) => {
    const html = readFileSync(file, "utf8");
    expect(renderAnew(html) === html).toBe(true);
  });

  it("say the same when they are rendered anew, whatever their texts", () => {
    const evil = "</td><td> & \"'</title> $& $1";
    const chart = { title: evil, xLabel: "x", x: [1], series: [], marks: [], height: 9 };
    const page = renderPage({
      title: evil,
      before: figureList([{ name: evil, value: "1", detail: evil }]),
      charts: [
        { chart, note: "a <b>note</b>" },
        { chart, small: true },
      ],
      after: numberTable([evil, "b"], [[evil, 1], ["c"]]),
    });
    expect(renderAnew(page)).toBe(page);
    const older = page
      .replace(/ data-name="[^"]*"/g, "")
      .replace(/ (odd|style="--wide[^"]*")/g, "")
      .replace(/<style>.*?<\/style>/gs, "");
    expect(renderAnew(older)).toBe(page);
  });

  it("are refused if they are something else", () => {
    expect(() => renderAnew("<html></html>")).toThrow(/^expected a page of nextpatch but received one without /);
  });
});
