/** A table of a comparison's pages: its headings, and as many cells in every row. */
export interface Table {
  readonly headings: string[];
  readonly rows: string[][];
}
