/** The table of environments in docs/install.md, from what `npm run test:environments -- --write` found. */
import { readFileSync } from "node:fs";
import { inCell, row, withLines } from "./marked_table.js";

/** A row of test/package/environments/results.json. */
export interface EnvironmentResult {
  readonly title: string;
  /** The tool's version; null: Node alone. */
  readonly tool: string | null;
  readonly node: string | null;
  readonly works: boolean;
  readonly date: string;
  readonly note: string;
}

const file = new URL("../test/package/environments/results.json", import.meta.url);

/** The page with the table between its marks. */
export function withEnvironments(page: string): string {
  const rows = JSON.parse(readFileSync(file, "utf8")) as readonly EnvironmentResult[];
  const lines = [...new Set(rows.map(({ title }) => title))].map((title) => {
    const same = rows.filter((row) => row.title === title);
    const { tool, date, note } = same[0]!;
    const nodes = (works: boolean) => same.filter((row) => row.works === works).map(({ node }) => node ?? "");
    const failed = nodes(false);
    const remarks = [note, failed.length > 0 ? `does not work${failed[0] ? ` on ${failed.join(", ")}` : ""}` : ""];
    return row([title, tool ?? "", nodes(true).join(", "), date, inCell(remarks.filter(Boolean).join("; "))]);
  });
  return withLines(page, "environments", [
    row(["environment", "its version", "on Node", "tried", "note"]),
    "|---|---|---|---|---|",
    ...lines.sort((a, b) => a.localeCompare(b, "en")),
  ]);
}
