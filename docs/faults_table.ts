/** The table of faults in docs/reliability.md: `npm run docs` writes it. */
import { faults } from "../test/faults/faults.js";

const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
const inCell = (text: string) => text.replaceAll("|", "\\|");

/** The page with the table as test/faults has the faults now, between `<!-- faults -->` and `<!-- end -->`. */
export function withFaults(page: string): string {
  const table = [
    row(["fault", "how it is tried", "what happens", "`npm run test:faults --`"]),
    "|---|---|---|---|",
    ...faults.map(({ fault, tried, happens, name }) => row([fault, tried, happens, `\`${name}\``].map(inCell))),
  ];
  return page.replace(/(<!-- faults -->\n)[\s\S]*?(<!-- end -->)/, (_, start: string, end: string) =>
    [`${start}${table.join("\n")}`, end].join("\n"),
  );
}
