/** The parameters that an optimizer leaves as they are, by name or pattern. */
import { nearestKey } from "../nearest.js";

/** What is wrong with a pattern. */
export interface FreezeProblem {
  /** Which pattern; null: all of them together. */
  readonly index: number | null;
  readonly expected: string;
}

/** Whether a name is what a pattern means: `*` stands for any characters. */
function matches(pattern: string, name: string): boolean {
  const [first, ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return name === pattern;
  if (!name.startsWith(first!)) return false;
  let from = first!.length;
  for (const part of rest) {
    const at = name.indexOf(part, from);
    if (at === -1) return false;
    from = at + part.length;
  }
  return name.length - last.length >= from && name.endsWith(last);
}

/** The frozen ones among the names of a model's parameters. */
export function frozenNames(patterns: readonly string[], names: readonly string[]): ReadonlySet<string> {
  return new Set(patterns.flatMap((pattern) => names.filter((name) => matches(pattern, name))));
}

/** The first problem with patterns; null: there is none. */
export function freezeProblem(patterns: readonly string[], names: readonly string[]): FreezeProblem | null {
  const index = patterns.findIndex((pattern) => !names.some((name) => matches(pattern, name)));
  if (index !== -1) {
    const nearest = nearestKey(patterns[index]!, names) ?? names[0];
    return { index, expected: `a parameter's name, or a pattern that matches one, such as ${nearest},` };
  }
  if (frozenNames(patterns, names).size < names.length) return null;
  return { index: null, expected: "patterns that leave a parameter to train" };
}
