/** The table of faults in docs/reliability.md: `npm run docs` writes it. */
import { faults } from "../test/faults/faults.js";
import { inCell, row, withLines } from "./marked_table.js";

/** The page with the table as test/faults has the faults now, between `<!-- faults -->` and `<!-- end -->`. */
export function withFaults(page: string): string {
  return withLines(page, "faults", [
    row(["fault", "how it is tried", "what happens", "`npm run test:faults --`"]),
    "|---|---|---|---|",
    ...faults.map(({ fault, tried, happens, name }) => row([fault, tried, happens, `\`${name}\``].map(inCell))),
  ]);
}
