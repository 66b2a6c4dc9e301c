/** Describes public functions with valid arguments, and values that are wrong for most of them. */
import { Device } from "../../lib/device.js";
import { Tensor } from "../../lib/native.js";

const gone = new Tensor(Device.open("cpu", { threads: 1 }), "f32", [1]);
gone.dispose();

/** One value of every kind. */
export const junk = {
  undefined: undefined,
  null: null,
  boolean: true,
  number: 0.5,
  string: "text",
  object: {},
  array: [],
  function: () => 0,
  symbol: Symbol("s"),
  bigint: 10n,
  proxy: new Proxy({}, {}),
  "disposed tensor": gone,
} as const;

export type Kind = keyof typeof junk;
export const kinds = Object.keys(junk) as Kind[];

/** An argument or an option of a public function. */
export interface Spec {
  /** What is right. */
  readonly value: unknown;
  /** The kinds of `junk` that are right, or of the right kind; each of the others is a TypeError. */
  readonly takes: readonly Kind[];
  /** More values of a wrong kind. */
  readonly kinds?: readonly unknown[];
  /** Values of the right kind that are wrong: each is a RangeError. */
  readonly range?: readonly unknown[];
  /** Of the kinds that are taken, those that make no config: each is a ConfigError. */
  readonly config?: readonly Kind[];
}

/** A public function with arguments that are right. */
export interface PublicCall {
  /** As its caller knows it: `Tokenizer.decode`. */
  readonly name: string;
  /** Its name in errors, if that is another. */
  readonly operation?: string;
  /** By the name that an error gives them, in their order. */
  readonly arguments: Readonly<Record<string, Spec>>;
  /** The last argument, if it is an object of options that are checked one by one. */
  readonly options?: { readonly name: string; readonly optional: boolean; readonly of: Readonly<Record<string, Spec>> };
  readonly call: (...values: never[]) => unknown;
}

const objects: readonly Kind[] = ["object", "array", "proxy", "disposed tensor"];

/** A number; the values after it are none that will do. */
export const number = (value: number, ...range: unknown[]): Spec => ({ value, takes: ["number"], range });
/** A whole number from `low` on. */
export const whole = (value: number, low = 0, ...range: unknown[]): Spec =>
  number(value, 0.5, low - 1, Number.NaN, Number.POSITIVE_INFINITY, ...range);
/** Any string will do, as far as the function's arguments go. */
export const text = (value: string): Spec => ({ value, takes: ["string"] });
/** One of a few strings. */
export const word = (value: string): Spec => ({ value, takes: ["string"], range: ["text", ""] });
export const flag = (value: boolean): Spec => ({ value, takes: ["boolean"] });
export const callback: Spec = { value: () => undefined, takes: ["function", "undefined"] };
export const signal: Spec = { value: new AbortController().signal, takes: ["undefined"] };
/** An object of a class, or a typed array: nothing else will do. */
export const made = (value: unknown, range: readonly unknown[] = []): Spec => ({ value, takes: [], range });
/** An object whose fields are not checked one by one. */
export const object = (value: object): Spec => ({ value, takes: objects });
/** A config that is an object: another object is a ConfigError. */
export const config = (value: object): Spec => ({ value, takes: objects, config: objects });
/** A config of which nothing is known: whatever is none is a ConfigError. */
export const anyConfig = (value: object): Spec => ({ value, takes: kinds, config: kinds });
export const optional = (spec: Spec): Spec => ({ ...spec, takes: [...spec.takes, "undefined"] });

/**
 * The functions that modules export: functions and what hangs on them, constructors, static methods, methods. Getters
 * and methods with a symbol for a name take no arguments.
 */
export function publicFunctions(modules: readonly object[]): string[] {
  const names = modules.flatMap((module) =>
    Object.entries(module).flatMap(([name, value]) => (typeof value === "function" ? functionsOf(name, value) : [])),
  );
  return [...new Set(names)].sort();
}

function functionsOf(name: string, value: { readonly prototype?: object }): string[] {
  const isClass = /^[A-Z]/.test(name);
  const own = methods(value, ["prototype", "length", "name", "arguments", "caller"]);
  const inherited: string[] = [];
  // Down to Object's prototype, which need not be this realm's: the addon's classes come from outside of the test.
  for (
    let at = isClass ? value.prototype : undefined;
    at && Object.getPrototypeOf(at);
    at = Object.getPrototypeOf(at)
  ) {
    if (at !== Error.prototype) inherited.push(...methods(at, ["constructor"]));
  }
  return [name, ...[...own, ...inherited].map((method) => `${name}.${method}`)];
}

function methods(holder: object, without: readonly string[]): string[] {
  return Object.entries(Object.getOwnPropertyDescriptors(holder))
    .filter(([key, { value }]) => typeof value === "function" && !without.includes(key))
    .map(([key]) => key);
}
