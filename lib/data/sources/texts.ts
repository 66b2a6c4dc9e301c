import type { Position } from "./position.js";

/** The text of a record: null or empty where it has none. */
export interface RecordText {
  readonly text: string | null;
  /** What goes before the text and does not count in the loss; null, empty or absent: nothing. */
  readonly prompt?: string | null;
  readonly where: Position;
  /** Whether it goes on with the text before it. */
  readonly continues?: boolean;
}

/** What a format's reader yields. */
export type Texts = AsyncGenerator<RecordText>;
