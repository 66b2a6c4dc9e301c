/**
 * The ids that `prepare` writes against those of Python's tokenizers (test/fixtures/encode/make.py): tokenizers of many
 * shapes, texts that are hard to cut.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "@jest/globals";
import { type EncodePiece, Encoder } from "../../../lib/data/encode/encoder.js";
import { nativeTokenizers } from "../../../lib/data/tokenizer.js";

const folder = new URL("../../fixtures/encode/", import.meta.url);
const { texts, generated } = JSON.parse(gunzipSync(readFileSync(new URL("texts.json.gz", folder))).toString()) as {
  texts: Record<string, string>;
  generated: Record<string, number>;
};
for (const [name, count] of Object.entries(generated)) texts[name] = longWord(count);
const ids = JSON.parse(readFileSync(new URL("ids.json", folder), "utf8")) as Record<
  string,
  Record<string, [count: number, sha256: string]>
>;
const make = await nativeTokenizers();

/** As make.py's `long_words`. */
function longWord(count: number): string {
  let state = 1n;
  const out: string[] = [];
  for (let i = 0; i < count; i++) {
    state = (state * 1103515245n + 12345n) % 2n ** 31n;
    out.push("abcdefghijklmnop"[Number((state >> 16n) & 15n)]!);
  }
  return out.join("");
}

function digest(parts: readonly Uint32Array[]): [number, string] {
  const hash = createHash("sha256");
  let count = 0;
  for (const part of parts) {
    hash.update(part);
    count += part.length;
  }
  return [count, hash.digest("hex")];
}

/** A text as `prepare` cuts it, in pieces of at most `unit` UTF-16 units where that is possible. */
function pieces(encoder: Encoder, text: string, unit: number): EncodePiece[] {
  const cut: EncodePiece[] = [];
  let rest = text;
  for (let window = unit; rest.length > window; ) {
    const end = encoder.cut(rest.slice(0, window));
    if (end === 0) {
      window *= 2;
      continue;
    }
    cut.push({ text: rest.slice(0, end), continues: cut.length > 0 });
    rest = rest.slice(end);
    window = unit;
  }
  cut.push({ text: rest, continues: cut.length > 0 });
  return cut;
}

/** Shapes whose texts are given to the library whole. */
const WHOLE = ["unknown_pattern"];

test("each fixture has its ids", () => {
  const names = readdirSync(folder).flatMap((name) => (/^(?!ids)(.*)\.json$/.exec(name)?.[1] ?? []) as string[]);
  expect(names.sort()).toEqual(Object.keys(ids).sort());
  expect(names.length).toBeGreaterThanOrEqual(16);
});

describe.each(Object.keys(ids))("%s", (name) => {
  const encoder = new Encoder(readFileSync(new URL(`${name}.json`, folder), "utf8"), make);

  test("is cut, or known not to be", () => {
    expect(encoder.cuts).toBe(!WHOLE.includes(name));
  });

  // In pieces where that is possible, as `prepare` encodes long texts: what a piece does not see, a whole text does.
  test("ids", async () => {
    for (const [title, expected] of Object.entries(ids[name]!)) {
      const text = texts[title]!;
      const unit = text.length > 100_000 ? 9001 : 500;
      const found = await encoder.encode(encoder.cuts ? pieces(encoder, text, unit) : [{ text, continues: false }]);
      expect([title, ...digest(found)]).toEqual([title, ...expected]);
    }
  });

  test("whole texts", async () => {
    for (const title of ["English", "spaces", "end of text and spaces", "Chinese, CRLF"]) {
      const found = await encoder.encode([{ text: texts[title]!, continues: false }]);
      expect([title, ...digest(found)]).toEqual([title, ...ids[name]![title]!]);
    }
  });
});
