/** Which sequences a model must run to answer requests. */
import type { Request } from "./request.js";

/** A token that a request asks about. */
export interface RequestTarget {
  readonly request: number;
  /** The position that predicts it. */
  readonly position: number;
  readonly token: number;
}

/** Tokens to run, and what is read off them. */
export interface Sequence {
  readonly tokens: Int32Array;
  readonly targets: RequestTarget[];
  /** The first position with a target. */
  first: number;
}

/**
 * The sequences in lexicographic order. One that another begins with is part of that: the choices of one token after one
 * context, for example, are a single sequence.
 */
export function sequencesOf(requests: readonly Request[]): Sequence[] {
  const inputs = requests.map(({ tokens }) => tokens.subarray(0, tokens.length - 1));
  const order = Array.from(requests.keys()).sort((a, b) => compare(inputs[a]!, inputs[b]!));
  const sequences: Sequence[] = [];
  // From the last: the longer of two that begin alike comes after the shorter.
  for (const index of order.reverse()) {
    const [input, { tokens, scored }] = [inputs[index]!, requests[index]!];
    const last = sequences.at(-1);
    let sequence = last;
    if (last === undefined || commonLength(last.tokens, input) < input.length) {
      sequence = { tokens: input, targets: [], first: input.length };
      sequences.push(sequence);
    }
    for (let i = tokens.length - scored; i < tokens.length; i++) {
      sequence!.targets.push({ request: index, position: i - 1, token: tokens[i]! });
    }
    sequence!.first = Math.min(sequence!.first, tokens.length - scored - 1);
  }
  return sequences.reverse();
}

/** How many tokens two sequences have in common from the start. */
export function commonLength(a: Int32Array, b: Int32Array): number {
  const length = Math.min(a.length, b.length);
  let i = 0;
  while (i < length && a[i] === b[i]) i++;
  return i;
}

function compare(a: Int32Array, b: Int32Array): number {
  const i = commonLength(a, b);
  return i < a.length && i < b.length ? a[i]! - b[i]! : a.length - b.length;
}
