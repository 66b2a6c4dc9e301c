import { either, show } from "../arguments.js";

/**
 * Reads typed fields of a JSON object and reports every wrong field. A field that is absent or null takes its default,
 * as in transformers; so does a wrong one, so that reading continues to the next problem.
 */
export class Fields {
  constructor(
    private readonly values: Readonly<Record<string, unknown>>,
    readonly report: (key: string, problem: string) => void,
    private readonly prefix = "",
  ) {}

  /** Whether the field is present and not null. */
  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** The field's value; undefined if it is absent or null. */
  get(key: string): unknown {
    return Object.hasOwn(this.values, key) ? (this.values[key] ?? undefined) : undefined;
  }

  /** Whether the field is there, be it null. */
  names(key: string): boolean {
    return Object.hasOwn(this.values, key);
  }

  oneOf<T extends string>(key: string, allowed: readonly T[], fallback: T): T {
    const expected = either(allowed.map((name) => JSON.stringify(name)));
    return this.read(key, fallback, expected, (value) => allowed.includes(value as T));
  }

  /** Reports a field with a value other than the only supported one. */
  mustBe(key: string, supported: string | number | boolean): void {
    this.read(key, supported, `${JSON.stringify(supported)}, the only one supported,`, (value) => value === supported);
  }

  /** @param most the largest that is taken; default: any */
  positiveInteger(key: string, fallback: number, most = Number.MAX_SAFE_INTEGER): number {
    const value = this.get(key);
    const expected =
      typeof value === "number" && value > most ? `a positive integer of at most ${most}` : "a positive integer";
    const fits = (value: unknown) => Number.isSafeInteger(value) && Number(value) > 0 && Number(value) <= most;
    return this.read(key, fallback, expected, fits);
  }

  wholeNumber(key: string, fallback: number): number {
    return this.read(key, fallback, "a whole number", (value) => Number.isSafeInteger(value) && Number(value) >= 0);
  }

  /** A positive integer; a null that is written out is one. */
  countOrNull(key: string, fallback: number | null): number | null {
    if (this.names(key) && !this.has(key)) return null;
    return fallback === null && !this.has(key) ? null : this.positiveInteger(key, fallback ?? 1);
  }

  /** A list of positive numbers, of which there must be `count`. */
  requiredPositiveNumbers(key: string, count: number): readonly number[] {
    const expected = `a list of ${count} positive numbers`;
    if (!this.has(key)) this.fail(key, `expected ${expected} but received nothing`);
    return this.read<readonly number[]>(
      key,
      [],
      expected,
      (value) => Array.isArray(value) && value.length === count && value.every((v) => Number.isFinite(v) && v > 0),
    );
  }

  positiveNumber(key: string, fallback: number): number {
    return this.read(key, fallback, "a positive number", (value) => Number.isFinite(value) && Number(value) > 0);
  }

  /** A required positive number. */
  requiredPositiveNumber(key: string): number {
    if (!this.has(key)) this.fail(key, "expected a positive number but received nothing");
    return this.positiveNumber(key, 1);
  }

  /** A number in [low, high]. */
  numberBetween(key: string, low: number, high: number, fallback: number): number {
    const inside = (value: unknown) => Number.isFinite(value) && Number(value) >= low && Number(value) <= high;
    return this.read(key, fallback, `a number from ${low} to ${high}`, inside);
  }

  boolean(key: string, fallback: boolean): boolean {
    return this.read(key, fallback, "true or false", (value) => typeof value === "boolean");
  }

  tokenId(key: string, fallback: number | null): number | null {
    return this.has(key) || !Object.hasOwn(this.values, key)
      ? this.read(key, fallback, "a token id (an integer)", Number.isSafeInteger)
      : null;
  }

  tokenIds(key: string, fallback: number | null): number | readonly number[] | null {
    const value = this.get(key);
    if (!Array.isArray(value)) return this.tokenId(key, fallback);
    return this.read<readonly number[]>(key, [], "a token id or a list of them", () =>
      value.every(Number.isSafeInteger),
    );
  }

  /** The fields of a nested object; undefined if it is absent, null or not an object. */
  nested(key: string): Fields | undefined {
    const isObject = (value: unknown) => typeof value === "object" && !Array.isArray(value);
    const value = this.read<object | undefined>(key, undefined, "an object", isObject);
    const prefix = `${this.prefix}${key}.`;
    return value && new Fields(value as Readonly<Record<string, unknown>>, this.report, prefix);
  }

  /** Reports a problem of one of these fields, under its full key. */
  fail(key: string, problem: string): void {
    this.report(this.prefix + key, problem);
  }

  private read<T>(key: string, fallback: T, expected: string, isValid: (value: unknown) => boolean): T {
    const value = this.get(key);
    if (value === undefined) return fallback;
    if (isValid(value)) return value as T;
    this.fail(key, `expected ${expected} but received ${show(value)}`);
    return fallback;
  }
}
