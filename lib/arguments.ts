/**
 * Checks of arguments. A wrong argument is a TypeError (kind, dtype, device) or a RangeError (shape, value), with the
 * one-sentence message that errors.ts describes.
 */
import { types } from "node:util";
import type { Device, DType, Tensor } from "../binding.js";
import { nearestKey } from "./nearest.js";

/** What a tensor argument must be. */
export interface TensorPattern {
  readonly dtypes: readonly DType[];
  /** Its sizes, or names for the free ones; without it any shape is valid. */
  readonly shape?: readonly (number | string)[];
  /** Whether it may be a strided view. Default false. */
  readonly strided?: boolean;
}

/** What `Arguments` adds to the TypeError or RangeError that it throws. */
export interface ArgumentError extends Error {
  /** The public function that was called, such as `Tokenizer.decode`. */
  readonly operation: string;
  /** Its argument or option, such as `ids` or `ids[3]`. */
  readonly argument: string;
}

/** The keys of an object; of several kinds, those of any. */
type KeyOf<T> = T extends unknown ? keyof T : never;

/** A list of keys, if it has all of them. */
type AllKeys<T, K extends readonly unknown[]> = [Exclude<KeyOf<T>, K[number]>] extends [never] ? unknown : never;

/** Checks the arguments of one call. Every error names operation, argument, what was expected and what was received. */
export class Arguments {
  #first: { readonly name: string; readonly device: Device } | null = null;

  /** @param operation the public function that was called, as its caller knows it */
  constructor(readonly operation: string) {}

  /** A live tensor, on the device of the tensors before it. Returns its shape. */
  tensor(name: string, value: unknown, { dtypes, shape: sizes, strided = false }: TensorPattern): number[] {
    if (!isTensor(value)) return this.fail(TypeError, name, "a Tensor", describe(value));
    if (value.disposed) this.fail(TypeError, name, "a live tensor", "a disposed one");
    const { dtype, shape, device } = value;
    if (!dtypes.includes(dtype)) this.fail(TypeError, name, `dtype ${dtypes.join(" or ")}`, dtype);
    const fits = (size: number, index: number) => typeof sizes?.[index] !== "number" || sizes[index] === size;
    if (sizes !== undefined && !(sizes.length === shape.length && shape.every(fits))) {
      this.fail(RangeError, name, `shape ${list(sizes)}`, list(shape));
    }
    if (!strided && !value.contiguous) {
      this.fail(RangeError, name, "a contiguous tensor", `a strided view of shape ${list(shape)}`);
    }
    this.#first ??= { name, device };
    const first = this.#first;
    if (!isSame(device, first.device)) {
      const expected = `a tensor on the device of ${first.name}, ${deviceName(first.device)},`;
      this.fail(TypeError, name, expected, `one on ${deviceName(device)}`);
    }
    return shape;
  }

  /** A number that meets the condition `expected` describes. */
  number(name: string, value: unknown, expected: string, holds: (value: number) => boolean): number {
    if (typeof value !== "number") return this.fail(TypeError, name, expected, describe(value));
    if (!holds(value)) this.fail(RangeError, name, expected, describe(value));
    return value;
  }

  /** A whole number from `low` to `high`; without `high`, up to the largest safe integer. */
  wholeNumber(name: string, value: unknown, low: number, high = Number.MAX_SAFE_INTEGER): number {
    const expected =
      high === Number.MAX_SAFE_INTEGER ? `a whole number of at least ${low}` : `a whole number from ${low} to ${high}`;
    return this.number(name, value, expected, (number) => Number.isInteger(number) && number >= low && number <= high);
  }

  boolean(name: string, value: unknown): boolean {
    return typeof value === "boolean" ? value : this.fail(TypeError, name, "a boolean", describe(value));
  }

  string(name: string, value: unknown, expected = "a string"): string {
    return typeof value === "string" ? value : this.fail(TypeError, name, expected, describe(value));
  }

  /** The name of a file or a folder: no operating system takes one with a NUL character, or one that is longer. */
  path(name: string, value: unknown, expected = "a string"): string {
    const path = this.string(name, value, expected);
    // Resolved, it would be the current folder, which nobody has named.
    if (path === "") this.fail(RangeError, name, "a path", describe(path));
    if (path.length > longestPath) {
      this.fail(RangeError, name, `a path of at most ${longestPath} characters`, `${path.length} of them`);
    }
    return path.includes("\0") ? this.fail(RangeError, name, "a path without a NUL character", describe(path)) : path;
  }

  /** An array of at least `low` paths. */
  paths(name: string, value: unknown, low: number, expected?: string): string[] {
    return this.strings(name, value, low, expected).map((path, index) => this.path(`${name}[${index}]`, path));
  }

  /** One of a few strings. */
  oneOf<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
    const expected = either(choices);
    const text = this.string(name, value, expected);
    return choices.includes(text as T) ? (text as T) : this.fail(RangeError, name, expected, describe(value));
  }

  /** A callback, or undefined if it is left out. */
  callback(name: string, value: unknown): void {
    if (value !== undefined && typeof value !== "function") this.fail(TypeError, name, "a function", describe(value));
  }

  /** An AbortSignal, or undefined if it is left out. */
  signal(name: string, value: unknown): void {
    if (value !== undefined) this.instance(name, value, AbortSignal);
  }

  /** An array of at least `low` strings. */
  strings(name: string, value: unknown, low: number, expected = `an array of ${low} or more strings`): string[] {
    if (!Array.isArray(value)) return this.fail(TypeError, name, expected, describe(value));
    if (value.length < low) this.fail(RangeError, name, expected, `an array of ${value.length}`);
    // Not `map`, which skips the holes of a sparse array.
    return Array.from(value as unknown[], (text, index) => this.string(`${name}[${index}]`, text));
  }

  /** An array, or typed array, of numbers that each pass `holds`; `expected` says the condition in words. */
  numbers(name: string, value: unknown, expected: string, holds: (value: number) => boolean): number[] {
    if (!Array.isArray(value) && !(types.isTypedArray(value) && typeof value[0] !== "bigint")) {
      return this.fail(TypeError, name, `an array of numbers, each ${expected},`, describe(value));
    }
    // By index: an array whose buffer was transferred has no iterator, and none of its own is trusted.
    const { length } = value as ArrayLike<unknown>;
    return Array.from({ length }, (_, i) =>
      this.number(`${name}[${i}]`, (value as ArrayLike<unknown>)[i], expected, holds),
    );
  }

  /** An object of options. */
  object<T extends object>(name: string, value: T): T {
    if (typeof value !== "object" || value === null) this.fail(TypeError, name, "an object", describe(value));
    return value;
  }

  /**
   * An object of options, with none beside those that are known: one that is misspelt would be without effect.
   * @param known the keys of `T`, all of them, and those that a caller may have from elsewhere and that mean nothing here
   */
  options<T extends object, const K extends readonly string[]>(name: string, value: T, known: K & AllKeys<T, K>): T {
    const names: readonly string[] = known;
    for (const key of Object.keys(this.object(name, value))) {
      if (names.includes(key)) continue;
      const [received, meant] = [JSON.stringify(cut(key)), nearestKey(key, names)];
      if (meant === undefined) this.fail(TypeError, name, `no keys but ${names.join(", ")}`, received);
      this.fail(TypeError, name, "known keys", `${received}; did you mean ${meant}?`);
    }
    return value;
  }

  /** An instance of a class; a proxy of one, or an object with one as its prototype, is rejected. */
  instance<T>(name: string, value: unknown, type: { readonly name: string; readonly prototype: T }): T {
    const made = !types.isProxy(value) && value instanceof (type as unknown as new () => T);
    // What a class makes has a prototype with the class in it.
    return made && Object.hasOwn(Object.getPrototypeOf(value) as object, "constructor")
      ? (value as T)
      : this.fail(TypeError, name, withArticle(type.name), describe(value));
  }

  /** Throws an `ArgumentError` for an argument. */
  fail(kind: typeof TypeError | typeof RangeError, name: string, expected: string, received: string): never {
    const error = new kind(`${this.operation}: ${name}: expected ${expected} but received ${received}`);
    throw Object.assign(error, { operation: this.operation, argument: name });
  }
}

/** Whether `Arguments` threw this error. */
export function isArgumentError(error: unknown): error is ArgumentError {
  return (error instanceof TypeError || error instanceof RangeError) && "operation" in error && "argument" in error;
}

/** "[2, 3]" */
export function list(sizes: readonly (number | string)[]): string {
  return `[${sizes.join(", ")}]`;
}

/** "a, b or c" */
export function either(choices: readonly string[]): string {
  return choices.join(", ").replace(/, ([^,]*)$/, " or $1");
}

/** The most characters of a path: Linux takes as many bytes. */
const longestPath = 4096;

/** The most characters of a value that a message shows. */
const longest = 80;

const cut = (text: string): string => (text.length > longest ? `${text.slice(0, longest)}…` : text);

/** Describes the received value. Runs no user code: an object's `toString` is not called. */
export function describe(value: unknown): string {
  if (types.isProxy(value)) return "a Proxy";
  switch (typeof value) {
    case "string":
      return `the string ${JSON.stringify(cut(value))}`;
    case "function":
      return "a function";
    case "symbol":
    case "bigint":
      return `a ${typeof value}`;
    case "object":
      if (value === null) return "null";
      if (isTensor(value)) return "a Tensor";
      if (types.isTypedArray(value)) return withArticle(typedArrayName(value));
      return Array.isArray(value) ? "an array" : "another object";
    default:
      return String(value);
  }
}

/** "Float64Array". Not by a property, which may be a program's own. */
const typedArrayName = Function.prototype.call.bind(
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)!.get!,
) as (array: NodeJS.TypedArray) => string;

/** A value from a file or a config as JSON, cut to a length that fits a message; "nothing" if it is absent. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "number") return String(value); // NaN and Infinity, too
  const json = asJson(value) ?? describe(value);
  return cut(json);
}

/** Undefined for what JSON cannot hold: a function, a bigint, a cycle. */
function asJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

/** The class of tensors, once the addon is loaded: before that there are none. */
let tensorClass: (new (...args: never[]) => Tensor) | null = null;

/** Registers the class of tensors. lib/native.ts calls it, so that checks of other arguments need no addon. */
export function recognizeTensors(type: new (...args: never[]) => Tensor): void {
  tensorClass = type;
}

/** Whether a value is a tensor, not an object with one as its prototype or proxy target. */
function isTensor(value: unknown): value is Tensor {
  try {
    return tensorClass !== null && value instanceof tensorClass && typeof value.disposed === "boolean";
  } catch {
    return false;
  }
}

/** Handles on the same device with the same number of threads share it. */
function isSame(a: Device, b: Device): boolean {
  return a.backend === b.backend && a.index === b.index && a.threads === b.threads;
}

function deviceName({ backend, index, threads }: Device): string {
  return `${backend}:${index}${threads === 0 ? "" : ` with ${threads} threads`}`;
}

function withArticle(name: string): string {
  return `${/^([AEIO]|U(?!int))/.test(name) ? "an" : "a"} ${name}`;
}
