/** Means of records of the same shape, such as the scores of several seeds. */

/**
 * The mean of values of one shape: of numbers, and of the numbers inside objects and lists of one length. What is no
 * number (a name, null) is the first value's; a number that others lack, or have as null, is null.
 */
export function average<T>(values: readonly T[]): T {
  const [first] = values as readonly unknown[];
  if (typeof first === "number") {
    const numbers = values.filter((value) => typeof value === "number");
    const sum = numbers.reduce<number>((total, value) => total + value, 0);
    return (numbers.length === values.length ? sum / numbers.length : null) as T;
  }
  if (Array.isArray(first)) {
    const lists = values as readonly (readonly unknown[])[];
    return first.map((_, index) => average(lists.map((list) => list[index]))) as T;
  }
  if (typeof first !== "object" || first === null) return first as T;
  const records = values as readonly Record<string, unknown>[];
  return Object.fromEntries(Object.keys(first).map((key) => [key, average(records.map((each) => each[key]))])) as T;
}
