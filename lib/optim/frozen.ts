import { type Arguments, describe } from "../arguments.js";
import { freezeProblem, frozenNames } from "../config/freeze.js";
import { native, type Tensor } from "../native.js";
import type { ParameterLayout } from "../nn/parameters.js";

/** Options of an optimizer. */
export interface OptimizerOptions {
  /**
   * Parameters that stay as they are, by Hugging Face's name; `*` stands for any characters: `model.layers.0.*`. A
   * step sets their gradient to zeros, so that it is no part of the norm.
   */
  readonly freeze?: readonly string[];
}

/** Elements of the flat tensors. */
interface Range {
  readonly begin: number;
  readonly size: number;
}

/** Which parts of the flat tensors an optimizer updates. */
export class Frozen {
  readonly #names: ReadonlySet<string>;
  readonly #frozen: readonly Range[];
  readonly #trained: readonly Range[];

  /** @param patterns of which each matches a parameter */
  constructor(layout: ParameterLayout, patterns: readonly string[]) {
    const { slots, size } = layout;
    this.#names = frozenNames(
      patterns,
      slots.map(({ name }) => name),
    );
    const ranges: { begin: number; size: number; frozen: boolean }[] = [];
    slots.forEach(({ name, offset }, index) => {
      const frozen = this.#names.has(name);
      // With the padding behind it.
      const own = (slots[index + 1]?.offset ?? size) - offset;
      const last = ranges.at(-1);
      if (last?.frozen === frozen) last.size += own;
      else ranges.push({ begin: offset, size: own, frozen });
    });
    this.#frozen = ranges.filter(({ frozen }) => frozen);
    this.#trained = ranges.filter(({ frozen }) => !frozen);
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** The ranges that are updated, of `size` elements from `begin` on. */
  trained(begin: number, size: number): Range[] {
    const end = begin + size;
    return this.#trained.flatMap((range) => {
      const from = Math.max(begin, range.begin);
      const rest = Math.min(end, range.begin + range.size) - from;
      return rest > 0 ? [{ begin: from, size: rest }] : [];
    });
  }

  /** Takes the frozen parameters out of a flat gradient. */
  clear(gradient: Tensor<"f32">): void {
    for (const { begin, size } of this.#frozen) native.fill(gradient.narrow(0, begin, size), 0);
  }
}

/** The patterns of an optimizer's options. @throws TypeError or RangeError for a wrong one */
export function checkFreeze(check: Arguments, options: OptimizerOptions, { slots }: ParameterLayout): string[] {
  const { freeze = [] } = check.options("options", options, ["freeze"]);
  const patterns = check.strings("freeze", freeze, 0);
  const names = slots.map(({ name }) => name);
  const problem = freezeProblem(patterns, names);
  if (problem === null) return patterns;
  const { index, expected } = problem;
  if (index === null) check.fail(RangeError, "freeze", expected, "patterns that match all");
  return check.fail(RangeError, `freeze[${index}]`, expected, describe(patterns[index]));
}
