/** Checks of arguments: what is wrong is told by a TypeError (kind, dtype, device) or a RangeError (shape, value). */
import { type Device, type DType, Tensor } from "./native.js";

/** What a tensor argument must be. */
export interface TensorPattern {
  readonly dtypes: readonly DType[];
  /** Its sizes, or the names of those that are free; without it any shape will do. */
  readonly shape?: readonly (number | string)[];
  /** Whether it may be a strided view. Default false. */
  readonly strided?: boolean;
}

/** Checks the arguments of one call. Every error names operation, argument, what was expected and what came. */
export class Arguments {
  #first: { readonly name: string; readonly device: Device } | null = null;

  constructor(private readonly operation: string) {}

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

  /** A number that holds what `expected` says in words. */
  number(name: string, value: unknown, expected: string, holds: (value: number) => boolean): number {
    if (typeof value !== "number") return this.fail(TypeError, name, expected, describe(value));
    if (!holds(value)) this.fail(RangeError, name, expected, describe(value));
    return value;
  }

  wholeNumber(name: string, value: unknown, low: number, high: number): number {
    const holds = (number: number) => Number.isInteger(number) && number >= low && number <= high;
    return this.number(name, value, `a whole number from ${low} to ${high}`, holds);
  }

  /** An object of options. */
  object<T extends object>(name: string, value: T): T {
    if (typeof value !== "object" || value === null) this.fail(TypeError, name, "an object", describe(value));
    return value;
  }

  /** Throws the error of an argument. */
  fail(kind: new (message: string) => Error, name: string, expected: string, got: string): never {
    throw new kind(`${this.operation}: ${name}: expected ${expected} but received ${got}`);
  }
}

/** "[2, 3]" */
export function list(sizes: readonly (number | string)[]): string {
  return `[${sizes.join(", ")}]`;
}

/** What came instead of what was expected. Runs no code of the user's: an object is not asked for its text. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case "string":
      return `the string ${JSON.stringify(value)}`;
    case "function":
      return "a function";
    case "symbol":
    case "bigint":
      return `a ${typeof value}`;
    case "object":
      return value === null ? "null" : isTensor(value) ? "a Tensor" : "another object";
    default:
      return String(value);
  }
}

/** Whether a value is a tensor, and not an object that has one as its prototype or target. */
function isTensor(value: unknown): value is Tensor {
  try {
    return value instanceof Tensor && typeof value.disposed === "boolean";
  } catch {
    return false;
  }
}

/** Handles on one device with as many threads share it. */
function isSame(a: Device, b: Device): boolean {
  return a.backend === b.backend && a.index === b.index && a.threads === b.threads;
}

function deviceName({ backend, index, threads }: Device): string {
  return `${backend}:${index}${threads === 0 ? "" : ` with ${threads} threads`}`;
}
