/** Words against those of the package's own pre-tokenizers. */
import { beforeAll, describe, expect, it } from "@jest/globals";
import type { PreTokenizer } from "tokenizers";
import {
  byteLevelPreTokenizer,
  digitsPreTokenizer,
  metaspacePreTokenizer,
  sequencePreTokenizer,
  splitPreTokenizer,
} from "tokenizers";
import { BYTE_CHARACTERS } from "../../../lib/data/bpe/byte_alphabet.js";
import { characterClasses, DIGIT } from "../../../lib/data/bpe/character_classes.js";
import { ChunkWriter } from "../../../lib/data/bpe/chunk_writer.js";
import type { TextChunk } from "../../../lib/data/bpe/count_texts.js";
import { lastCut, splitAtBlanks, splitByteLevel } from "../../../lib/data/bpe/split.js";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
const classes = characterClasses();

/** Our words of a text, in the package's notation. */
function words(text: string, units: "bytes" | "characters", splitDigits: boolean): string[] {
  const found: string[] = [];
  if (units === "bytes") {
    const bytes = encode(text);
    const characters = Array.from(bytes, (byte) => BYTE_CHARACTERS[byte]!).join("");
    splitByteLevel(bytes, [0, bytes.length], classes, splitDigits, (_, from, to) => {
      found.push(characters.slice(from, to));
    });
  } else {
    const bytes = encode(text.replaceAll("▁", " ").replace(/^(?! )/, " "));
    splitAtBlanks(bytes, [0, bytes.length], classes, splitDigits, (_, from, to) => {
      found.push(decode(bytes.subarray(from, to)).replace(" ", "▁"));
    });
  }
  return found;
}

const peers = new Map<string, PreTokenizer>();
beforeAll(() => {
  const bytes = byteLevelPreTokenizer(false, true);
  const digits = digitsPreTokenizer(true);
  const characters = [metaspacePreTokenizer("▁", "first"), splitPreTokenizer("\n", "removed")];
  peers.set("bytes false", bytes);
  peers.set("bytes true", sequencePreTokenizer([digits, bytes]));
  peers.set("characters false", sequencePreTokenizer(characters));
  peers.set("characters true", sequencePreTokenizer([...characters, digits]));
});

const settings = (["bytes", "characters"] as const).flatMap((units) =>
  [false, true].map((splitDigits) => ({ units, splitDigits })),
);

const peerWords = (text: string, units: string, splitDigits: boolean): string[] =>
  peers
    .get(`${units} ${splitDigits}`)!
    .preTokenizeString(text)
    .map(([word]) => word);

/** Texts of a few hundred characters of many kinds in random order. */
function randomTexts(count: number): string[] {
  const kinds = [..."aZéß日本कΩ15½²٣Ⅷ一!'.…-€😀👩\u200d\u0301\ufe0f_\u2581\u0000\u0085\u00a0\u2028\u3000\ufeff\r"];
  const common = [" ", "  ", "   ", "\n", "\n\n", "\t", "'s", "'ll", "'re", "'S", "'", "word", " word", "123", " 7"];
  let state = 1;
  const pick = (from: readonly string[]): string => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return from[(state >>> 8) % from.length]!;
  };
  const part = (): string => pick([pick(kinds), pick(common), pick(common)]);
  return Array.from({ length: count }, () => Array.from({ length: 200 }, part).join(""));
}

describe("words", () => {
  it.each(settings)("are the package's for random texts: $units, $splitDigits", ({ units, splitDigits }) => {
    for (const text of [" ", "\n", "'", " '", "'s", "a ", " a", ...randomTexts(100)]) {
      expect(words(text, units, splitDigits)).toEqual(peerWords(text, units, splitDigits));
    }
  });

  /** Every code point between others of each kind, a thousand a text. */
  const everyCharacter = function* (): Generator<string> {
    const planes = [0, 1, 2, 3, 14];
    let text = "";
    for (const code of planes.flatMap((plane) => Array.from({ length: 0x10000 }, (_, i) => plane * 0x10000 + i))) {
      const character = String.fromCodePoint(code);
      if (code >> 11 !== 0xd800 >> 11) text += `a${character}1!${character}! `;
      if (code % 1000 !== 999 && code % 0x10000 !== 0xffff) continue;
      yield text;
      text = "";
    }
  };

  it("are the package's around every code point of planes 0 to 3 and 14", () => {
    let wrong = 0;
    for (const text of everyCharacter()) {
      const [ours, expected] = [words(text, "bytes", false), peerWords(text, "bytes", false)];
      if (ours.join("\n") !== expected.join("\n")) wrong++;
    }
    expect(wrong).toBe(0); // else the package knows another Unicode now: `npm run character-ranges`
  });

  it("have the package's digits, of every code point", () => {
    const digits = digitsPreTokenizer(true);
    const wrong: number[] = [];
    for (const text of everyCharacter()) {
      const expected = new Set(digits.preTokenizeString(text).map(([word]) => word));
      for (const character of new Set(text)) {
        const code = character.codePointAt(0)!;
        if ("a1! ".includes(character)) continue; // they stand around every character
        if (expected.has(character) !== (classes[code]! & DIGIT) > 0) wrong.push(code);
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe("chunks", () => {
  /** The chunks of a text that is added in parts. */
  function chunks(texts: readonly string[], part: number): TextChunk[] {
    const writer = new ChunkWriter();
    const found: TextChunk[] = [];
    for (const text of texts) {
      for (let at = 0; at < text.length; at += part) found.push(...writer.add(text.slice(at, at + part), at === 0));
    }
    return [...found, writer.rest()];
  }

  const textsOf = ({ bytes, ends }: TextChunk): string[] =>
    [...ends].map((end, i) => decode(bytes.subarray(ends[i - 1] ?? 0, end)));

  it("end at documents and between words, and lose nothing", () => {
    const long = randomTexts(4000).join("");
    const made = ["first", long, "", "second", "x".repeat(3_000_000), ` ${"日本".repeat(400_000)}`, "last"];
    const found = chunks(made, 1 << 20);
    expect(found.length).toBeGreaterThan(3);
    const texts = found.flatMap(textsOf);
    expect(texts.join("") === made.join("")).toBe(true);
    const whole = made.flatMap((text) => words(text, "bytes", true));
    const cut = texts.flatMap((text) => words(text, "bytes", true));
    expect(cut.length).toBe(whole.length);
    expect(cut.join("\n") === whole.join("\n")).toBe(true);
  });

  it("have no more memory than a document without a place to cut needs", () => {
    const found = chunks(
      Array.from({ length: 300_000 }, (_, i) => `short ${i}`),
      1 << 20,
    );
    expect(found.reduce((sum, { ends }) => sum + ends.length, 0)).toBeGreaterThanOrEqual(300_000);
    expect(Math.max(...found.map(({ bytes }) => bytes.length))).toBeLessThan(3 << 20);
  });

  it("are cut before the last blank or line break after a visible character", () => {
    const cutOf = (text: string): number => lastCut(encode(text), 0, classes);
    expect(cutOf("one two  ")).toBe("one two".length);
    expect(cutOf("one\n\ntwo")).toBe("one".length);
    expect(cutOf("日本\u3000 x")).toBe(-1);
    expect(cutOf("日本 \u3000x")).toBe(6);
    expect(cutOf(" word")).toBe(-1);
  });
});
