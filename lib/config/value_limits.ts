/** Bounds a value before it is walked through recursively. */
import { inputLimits } from "../disk/input_limits.js";

/** Throws an Error for a value that is nested too deep, in itself, or too large. */
export function checkValue(value: unknown): void {
  const { configDepth, configValues } = inputLimits;
  const left: { value: unknown; depth: number }[] = [{ value, depth: 0 }];
  let count = 0;
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (++count > configValues) throw new Error(`more than ${configValues} values`);
    const { value: current, depth } = next;
    if (typeof current !== "object" || current === null) continue;
    if (depth === configDepth) {
      throw new Error(`sections and lists nested more than ${configDepth} deep, or in themselves`);
    }
    for (const key of Object.keys(current)) {
      left.push({ value: (current as Record<string, unknown>)[key], depth: depth + 1 });
      if (left.length > configValues) throw new Error(`more than ${configValues} values`);
    }
  }
}
