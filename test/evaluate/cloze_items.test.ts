/** Cloze items made of windows of text. */
import { describe, expect, it } from "@jest/globals";
import { clozeItems } from "../../lib/evaluate/cloze_items.js";
import type { Window } from "../../lib/evaluate/held_out_windows.js";

const window = (document: number, ...tokens: number[]): Window => ({ document, tokens: Int32Array.from(tokens) });
const options = { context: 2, choices: 3, most: 10 };

describe("clozeItems", () => {
  it("has the right continuation at its index, which differs from item to item, and others of other documents", () => {
    const windows = [0, 1, 2, 3].flatMap((d) => [window(d, d, 1, 10 * d, 5), window(d, d, 2, 10 * d, 6)]);
    const items = clozeItems(windows, options);
    expect(items).toHaveLength(8);
    for (const [index, { context, choices, gold }] of items.entries()) {
      expect(gold).toBe(index % 3);
      expect([...context, ...choices[gold]!]).toEqual([...windows[index]!.tokens]);
      const others = choices.filter((_, choice) => choice !== gold).map(([first]) => first! / 10);
      expect(others).not.toContain(windows[index]!.document);
    }
  });

  it("never offers a continuation twice, and makes no item where there are too few", () => {
    const alike = [0, 1, 2].map((d) => window(d, d, d, 7, 7));
    expect(clozeItems(alike, options)).toEqual([]);
    const [first] = clozeItems([...alike, window(3, 0, 0, 8, 8), window(4, 0, 0, 9, 9)], options);
    expect(new Set(first!.choices.map((choice) => choice.join())).size).toBe(3);
  });

  it("takes other places of the same document where there are fewer documents than choices", () => {
    const windows = [window(0, 1, 1, 5, 5), window(0, 2, 2, 6, 6), window(0, 3, 3, 7, 7)];
    expect(clozeItems(windows, { ...options, most: 2 })).toHaveLength(2);
  });
});
