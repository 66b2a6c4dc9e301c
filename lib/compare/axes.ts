/** Texts such as `patchSize=2,4,8`, which give values along an axis. */
import { type Arguments, describe } from "../arguments.js";

/** An axis: how an item of its list is read, undefined if it is none, and what the items are, in words. */
export interface Axis {
  readonly read: (item: string) => number | string | undefined;
  readonly expected: string;
}

export interface NumberAxis extends Axis {
  readonly holds: (value: number) => boolean;
}

/** An axis of numbers that meet a condition, which `expected` says in words. */
export function numbers(expected: string, holds: (value: number) => boolean): NumberAxis {
  const read = (item: string): number | undefined => {
    const value = item.trim() === "" ? Number.NaN : Number(item);
    return holds(value) ? value : undefined;
  };
  return { expected, holds, read };
}

/**
 * Reads texts, one an axis.
 * @param usage what a text may be, in words
 * @throws TypeError or RangeError for another argument
 */
export function parseAxes(
  check: Arguments,
  texts: readonly string[],
  axes: Readonly<Record<string, Axis>>,
  usage: string,
): Record<string, (number | string)[]> {
  const found: Record<string, (number | string)[]> = {};
  for (const [index, text] of check.strings("texts", texts, 1).entries()) {
    const refuse = (expected: string, received = text): never =>
      check.fail(RangeError, `texts[${index}]`, expected, describe(received));
    const [, name = "", list = ""] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
    const axis = Object.hasOwn(axes, name) ? axes[name] : undefined;
    if (axis === undefined) return refuse(usage);
    if (found[name] !== undefined) return refuse(`each axis once, all values of ${name} in one text,`);
    const expected = `${axis.expected}, separated by commas, after ${name}=`;
    found[name] = list.split(",").map((item) => axis.read(item) ?? refuse(expected, item));
  }
  return found;
}
