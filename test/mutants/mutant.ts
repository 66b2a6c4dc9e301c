import type { Check } from "./checks.js";

/** A seeded fault: a text of one source, and what takes its place. */
export interface Mutant {
  /** What is wrong, in a sentence. */
  readonly fault: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** The check that must fail. */
  readonly check: Check;
  /** What the check's output says, so that it fails because of the fault. */
  readonly says: string;
}

/** `text` with the fault. Throws unless it holds what is replaced exactly once, so that no mutant outlives its source. */
export function seeded({ file, find, replace }: Mutant, text: string): string {
  const found = text.split(find).length - 1;
  if (found !== 1) throw new Error(`${file}: expected ${JSON.stringify(find)} once but found it ${found} times`);
  return text.replace(find, () => replace);
}
