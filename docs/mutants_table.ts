/** The table of seeded faults in docs/testing.md: `npm run docs` writes it. */
import { mutants } from "../test/mutants/faults.js";
import { row, withLines } from "./marked_table.js";

/** What a fault shows as, by what the check's output says of it. */
function sign(says: string): string {
  if (says === "toBeLessThanOrEqual" || says === "element ") return "a wrong result";
  if (says.startsWith("● ")) return `the test of “${says.slice(2)}”`;
  return `“${says}”`;
}

/** The page with the table as test/mutants has the faults now, between `<!-- mutants -->` and `<!-- end -->`. */
export function withMutants(page: string): string {
  return withLines(page, "mutants", [
    row(["fault", "in", "check", "shows as"]),
    "|---|---|---|---|",
    ...mutants.map(({ fault, file, check, says }) =>
      row([fault, file.replace("native/cuda/", ""), `\`${check.script}\`: ${check.part}`, sign(says)]),
    ),
  ]);
}
