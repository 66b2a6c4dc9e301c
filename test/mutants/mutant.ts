/** A seeded fault: a text of one source, and what takes its place. */
export interface Mutant {
  /** What is wrong, in a sentence. */
  readonly fault: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  readonly check: Check;
}

export type Target = "nextpatch_simt" | "cublaslt_test";

/** A test that a fault must fail, and the sources as they are must pass. */
export interface Check {
  /** The target of the build that it runs. */
  readonly target: Target;
  /** As docs/testing.md names it, with the command that runs it. */
  readonly name: string;
  /** The arguments of jest; none for a program of its own. */
  readonly jest: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** `text` with the fault. Throws unless it holds what is replaced exactly once, so that no mutant outlives its source. */
export function seeded({ file, find, replace }: Mutant, text: string): string {
  const found = text.split(find).length - 1;
  if (found !== 1) throw new Error(`${file}: expected ${JSON.stringify(find)} once but found it ${found} times`);
  return text.replace(find, () => replace);
}
