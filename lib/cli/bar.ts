/** A progress bar in the last line of a terminal, which fits the terminal's width. */

/** What a bar shows. */
export interface BarState {
  readonly label: string;
  readonly done: number;
  readonly total: number;
  /** Texts, the most important first. */
  readonly note: readonly string[];
  /** More of them, for terminals that are wide enough. */
  readonly extra: readonly string[];
}

/** The cells of a bar that has room, and of the shortest that is drawn. */
const longest = 24;
const shortest = 4;

/** Columns that stay free, for what the terminal echoes of a Ctrl-C. */
const margin = 3;

/** Milliseconds between drawings. */
const interval = 100;

const separator = " | ";

/**
 * The line of a bar. Extra texts stand only beside a whole bar; then the bar is shortened, then left out, and only then
 * texts are left out from the last.
 * @param columns of the terminal
 */
export function barLine(state: BarState, columns: number, coloured: boolean): string {
  const { label, done, total, note, extra } = state;
  const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : 0;
  const percentage = `${Math.floor(100 * share)}%`;
  const room = Math.max(1, columns - margin);
  // Label, bar, percentage and note, with a space between them.
  const left = (texts: readonly string[]) => room - `${label}  ${percentage} ${texts.join(separator)}`.length;
  const texts = [...note];
  let more = 0;
  while (more < extra.length && left([...texts, ...extra.slice(0, more + 1)]) >= longest) more++;
  const cells = Math.min(longest, left([...texts, ...extra.slice(0, more)]));
  while (texts.length > 1 && cells < shortest && left(texts) < -1) texts.pop();
  const paint = (code: number, text: string) => (coloured && text !== "" ? `\u001b[${code}m${text}\u001b[0m` : text);
  const filled = Math.round(share * cells);
  const bar = cells < shortest ? "" : `${paint(36, "█".repeat(filled))}${paint(2, "░".repeat(cells - filled))} `;
  if (bar === "") return `${label} ${percentage} ${texts.join(separator)}`.slice(0, room).trimEnd();
  const shown = [texts.join(separator), ...extra.slice(0, more).map((text) => paint(2, text))];
  return `${label} ${bar}${percentage} ${shown.join(paint(2, separator))}`.trimEnd();
}

/** Where a bar is drawn. */
export interface Screen {
  readonly columns: number;
  readonly coloured: boolean;
  /** Writes a text that may be lost, as another one replaces it. */
  draw(text: string): void;
}

const clear = "\r\u001b[K";

export class Bar {
  #state: BarState | null = null;
  #drawn = Number.NEGATIVE_INFINITY;

  constructor(private readonly screen: Screen) {}

  update(state: BarState): void {
    const begins = this.#state === null;
    this.#state = state;
    if (begins || performance.now() - this.#drawn >= interval) this.#draw();
  }

  /** Prints other text: above the bar, if there is one. */
  above(print: () => void): void {
    if (this.#state !== null) this.screen.draw(clear);
    print();
    this.#draw();
  }

  /** Leaves the bar as it is, and ends its line. */
  stop(): void {
    if (this.#state === null) return;
    this.#draw();
    this.#state = null;
    this.screen.draw("\n");
  }

  #draw(): void {
    if (this.#state === null) return;
    this.#drawn = performance.now();
    this.screen.draw(clear + barLine(this.#state, this.screen.columns, this.screen.coloured));
  }
}
