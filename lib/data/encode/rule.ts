/** What a rule for cutting texts can do. A cut is allowed if the tokens of the two parts are those of the whole. */
import type { Range } from "./added_tokens.js";

export interface Rule {
  /**
   * Calls `emit` with the ends of a text's segments, in order; the last is the end of the text. The tokens of each
   * segment by itself are its tokens in the text. No segment ends within a guarded range, an open interval.
   */
  segments(text: string, guarded: readonly Range[], emit: (end: number) => void): void;
  /** The last place up to `limit`, before the end of a text of which more may follow, where it may be cut; 0: none. */
  lastCut(text: string, guarded: readonly Range[], limit: number): number;
}
