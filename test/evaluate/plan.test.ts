import { describe, expect, it } from "@jest/globals";
import { limitsOf, roundsOf } from "../../lib/evaluate/passes.js";
import { prefixGroups } from "../../lib/evaluate/prefix_groups.js";
import { type Request, request } from "../../lib/evaluate/request.js";
import { sequencesOf } from "../../lib/evaluate/sequences.js";
import { windowsOf } from "../../lib/evaluate/windows.js";

const range = (start: number, length: number) => Array.from({ length }, (_, i) => start + i);

/** What is read off the sequences: for each request, the tokens before each target, and the target. */
function answers(requests: readonly Request[]): Map<number, string[]> {
  const found = new Map<number, string[]>();
  for (const { tokens, targets, first } of sequencesOf(requests)) {
    expect(first).toBe(Math.min(...targets.map(({ position }) => position)));
    for (const { request: index, position, token } of targets) {
      const line = `${tokens.subarray(0, position + 1).join(" ")} -> ${token}`;
      found.set(index, [...(found.get(index) ?? []), line]);
    }
  }
  return found;
}

describe("a request", () => {
  it("keeps the last tokens of a context that does not fit", () => {
    expect([...request([1, 2, 3, 4], [5, 6], 4).tokens]).toEqual([2, 3, 4, 5, 6]);
    expect([...request([1], [5, 6], 4).tokens]).toEqual([1, 5, 6]);
    expect([...request([1, 2], [3, 4, 5, 6], 4).tokens]).toEqual([2, 3, 4, 5, 6]);
  });
});

describe("sequences", () => {
  const context = range(10, 5);
  const requests = [[7], [8], [7, 9], [7, 9, 9], [7]].map((continuation) => request(context, continuation, 100));

  it("run what others begin with only once", () => {
    expect(sequencesOf(requests).map(({ tokens }) => [...tokens])).toEqual([[...context, 7, 9]]);
  });

  it("answer every request", () => {
    const found = answers([...requests, request([1], [2], 9), request([10, 11], [3, 4], 9)]);
    const before = context.join(" ");
    expect(found.get(0)).toEqual([`${before} -> 7`]);
    expect(found.get(1)).toEqual([`${before} -> 8`]);
    expect(found.get(3)).toEqual([`${before} -> 7`, `${before} 7 -> 9`, `${before} 7 9 -> 9`]);
    expect(found.get(4)).toEqual(found.get(0));
    expect(found.get(5)).toEqual(["1 -> 2"]);
    expect(found.get(6)).toEqual(["10 11 -> 3", "10 11 3 -> 4"]);
  });
});

describe("prefixes", () => {
  const items = (shots: readonly number[], count: number, context: number) =>
    range(0, count).flatMap((item) =>
      range(0, 4).map((choice) =>
        request([...shots, ...range(1000 * (item + 1), context)], [500 + choice, ...range(600, 9)], 10_000),
      ),
    );

  it("are the context of choices", () => {
    const groups = prefixGroups(sequencesOf(items([], 5, 80)));
    expect(groups.map(({ prefix, members }) => [prefix, members.length])).toEqual(Array(5).fill([76, 4]));
  });

  it("are the examples, where those save more", () => {
    const groups = prefixGroups(sequencesOf(items(range(1, 400), 20, 40)));
    expect(groups.map(({ prefix, members }) => [prefix, members.length])).toEqual([[400, 80]]);
  });

  it("are none where they save nothing", () => {
    const groups = prefixGroups(sequencesOf(items([], 5, 8)));
    expect(groups.every(({ prefix, members }) => prefix === 0 && members.length === 1)).toBe(true);
  });

  it("end before the first position that is scored", () => {
    const context = range(1, 100);
    const requests = [request(context.slice(0, 50), context.slice(50), 999), request(context, [7, 8, 9], 999)];
    const [group] = prefixGroups(sequencesOf(requests));
    expect(group!.members.every(({ first }) => group!.prefix <= first)).toBe(true);
  });

  it("of equal length share a pass, and everything has room", () => {
    const groups = prefixGroups(sequencesOf([...items([], 50, 80), ...items(range(7000, 3), 3, 8)]));
    const rounds = roundsOf(groups, 1024);
    const limits = limitsOf(rounds);
    let members = 0;
    for (const { prefixes, passes } of rounds) {
      expect(prefixes.length * (prefixes[0]?.length ?? 0)).toBeLessThanOrEqual(limits.prefixes);
      for (const pass of passes) {
        members += pass.length;
        const [first] = pass;
        expect(pass.every(({ length, past }) => length <= first!.length && past === first!.past)).toBe(true);
        expect(pass.length * first!.length).toBeLessThanOrEqual(Math.max(1024, first!.length));
        expect(pass.length * first!.length).toBeLessThanOrEqual(limits.positions);
        expect(first!.past + first!.length).toBeLessThanOrEqual(limits.length);
      }
    }
    expect(members).toBe(4 * 53);
    expect(rounds.find(({ prefixes }) => prefixes.length > 0)!.prefixes.length).toBeGreaterThan(10);
  });
});

describe("windows", () => {
  it.each([
    [7, 4, 4],
    [9, 4, 2],
    [6, 4, 1],
    [3, 4, 4],
    [5, 1, 1],
  ])("of %i tokens, context %i, stride %i predict every token once", (count, length, stride) => {
    const windows = windowsOf([0, ...range(1, count)], length, stride);
    const predicted = windows.flatMap(({ tokens, scored }) => [...tokens.slice(tokens.length - scored)]);
    expect(predicted).toEqual(range(1, count));
    expect(Math.max(...windows.map(({ tokens }) => tokens.length))).toBeLessThanOrEqual(length + 1);
    expect(windows.slice(1).every(({ scored }) => scored <= stride)).toBe(true);
  });
});
