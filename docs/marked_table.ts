/** Tables in Markdown, and the places between marks that a page has for them. */

/** A row of a table. */
export const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

/** A text as a cell can hold it: a bar of its own would end the cell. */
export const inCell = (text: string): string => text.replaceAll("|", "\\|");

/**
 * A page with these lines between `<!-- mark -->` and `<!-- end -->`, in place of what is there.
 * @throws Error for a page without the marks
 */
export function withLines(page: string, mark: string, lines: readonly string[]): string {
  const place = new RegExp(`(<!-- ${mark} -->\n)[\\s\\S]*?(<!-- end -->)`);
  if (!place.test(page)) throw new Error(`expected a page with <!-- ${mark} --> and <!-- end --> but received another`);
  return page.replace(place, (_, start: string, end: string) => `${start}${lines.join("\n")}\n${end}`);
}
