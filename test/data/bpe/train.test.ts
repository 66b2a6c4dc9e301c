import { describe, expect, it } from "@jest/globals";
import { type TokenizerTraining, trainTokenizer } from "../../../lib/data/bpe.js";
import { Tokenizer } from "../../../lib/data/tokenizer.js";
import { DataError } from "../../../lib/errors.js";
import { documents } from "../../support/documents.js";

const prose = (
  "The cat sat on the mat. The other cat sat on the other mat, and the dog sat with them.\n" +
  "Nobody remembers whose garden these 12 animals visited before winter covered everything.\n"
).repeat(20);

interface TokenizerJson {
  readonly model: { readonly vocab: Readonly<Record<string, number>>; readonly merges: readonly [string, string][] };
  readonly added_tokens: readonly { readonly id: number; readonly content: string; readonly special: boolean }[];
}

const train = async (training: TokenizerTraining, text = prose): Promise<TokenizerJson> =>
  JSON.parse(await trainTokenizer(documents([text]), training)) as TokenizerJson;

describe("trainTokenizer", () => {
  it("gives end-of-text, special tokens, the 256 bytes, then merges", async () => {
    const { model, added_tokens: added } = await train({ vocab: 280, special: ["<|user|>", "<|pad|>"] });
    expect(added.map(({ id, content }) => [id, content])).toEqual([
      [0, "<|endoftext|>"],
      [1, "<|user|>"],
      [2, "<|pad|>"],
    ]);
    expect(added.every(({ special }) => special)).toBe(true);
    expect(Object.values(model.vocab).sort((a, b) => a - b)).toEqual(Array.from({ length: 280 }, (_, i) => i));
    expect([model.vocab["<|pad|>"], model.vocab["!"], model.vocab["\u0143"]]).toEqual([2, 3, 258]);
    expect(model.merges.length).toBe(21);
    for (const [left, right] of model.merges) {
      expect(model.vocab[left + right]).toBeGreaterThan(Math.max(model.vocab[left]!, model.vocab[right]!));
    }
  });

  it("gives with byte fallback what Llama 2 has: three special tokens, bytes, characters, then merges", async () => {
    const { model, added_tokens: added } = await train({ vocab: 320, special: ["<pad>"], byteFallback: true });
    expect(added.map(({ content }) => content)).toEqual(["<unk>", "<s>", "</s>", "<pad>"]);
    const { vocab } = model;
    expect([vocab["<0x00>"], vocab["<0xFF>"]]).toEqual([4, 259]);
    const tokens = Object.keys(vocab).sort((a, b) => vocab[a]! - vocab[b]!);
    const characters = tokens.filter((token) => token.length === 1);
    expect(characters).toEqual([...new Set(prose.replaceAll("\n", "").replaceAll(" ", "▁"))].sort());
    expect(tokens.slice(260, 260 + characters.length)).toEqual(characters);
  });

  it("spells a literal byte token as text, never as the byte", async () => {
    const text = "<0x41>\n".repeat(50);
    const json = await trainTokenizer(documents([text]), { vocab: 270, byteFallback: true });
    expect((JSON.parse(json) as TokenizerJson).model.merges.length).toBe(4);
    const tokenizer = await Tokenizer.fromJson(json);
    expect(await tokenizer.decode(await tokenizer.encode(text))).toBe(text);
  });

  it("lets a smaller vocabulary be the beginning of a larger one", async () => {
    const { model } = await train({ vocab: 290 });
    expect(model.vocab).toMatchObject((await train({ vocab: 270 })).model.vocab);
  });

  it("takes a special token that the text spells, too", async () => {
    const { model } = await train({ vocab: 290, special: ["at"] });
    expect(model.vocab.at).toBe(1);
    expect(model.merges).toContainEqual(["a", "t"]);
    expect(model.merges.length).toBe(290 - 258 + 1);
  });

  it("tells how far it is, and stops when told to", async () => {
    const words = Array.from({ length: 60_000 }, (_, i) => `${(i * 7919).toString(36)}x${(i * 104_729).toString(36)}`);
    const text = documents([words.join(" ")]);
    const seen: number[] = [];
    await trainTokenizer(text, { vocab: 60_000 }, { onTokens: (tokens) => seen.push(tokens) });
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(60_000);
    const abort = new AbortController();
    const onTokens = (): void => abort.abort(new Error("interrupted"));
    const run = trainTokenizer(text, { vocab: 60_000 }, { onTokens, signal: abort.signal });
    await expect(run).rejects.toThrow("interrupted");
    const early = trainTokenizer(text, { vocab: 300 }, { signal: AbortSignal.abort(new Error("too late")) });
    await expect(early).rejects.toThrow("too late");
  });

  it("refuses sizes that cannot be, and a corpus that is too small", async () => {
    const fails = async (training: TokenizerTraining, text = prose): Promise<string> => {
      const error = await trainTokenizer(documents([text]), training).catch((caught: unknown) => caught);
      return String(error);
    };
    for (const vocab of [256, 262_145, 300.5, NaN]) {
      expect(await fails({ vocab })).toBe(
        `RangeError: trainTokenizer: training.vocab: expected a whole number from 257 to 262144 but received ${vocab}`,
      );
    }
    expect(await fails({ vocab: 258, special: ["a", "b"] })).toMatch(/from 259 to 262144 but received 258$/);
    expect(await fails({ vocab: 259, byteFallback: true })).toMatch(/from 260 to 262144 but received 259$/);
    const token = /training\.special\[0\]: expected a token that is not blank and not in the vocabulary already but /;
    for (const special of ["", " ", "<|endoftext|>"])
      expect(await fails({ vocab: 300, special: [special] })).toMatch(token);
    for (const special of ["<s>", "<0x0A>"]) {
      expect(await fails({ vocab: 300, special: [special], byteFallback: true })).toMatch(token);
    }
    expect(await fails({ vocab: 300, special: ["x", "x"] })).toMatch(/special\[1\]: .* received "x"$/);
    expect(await fails({ vocab: 270, byteFallback: true })).toMatch(
      /^DataError: tokenizer: expected a vocabulary of \d+ or more, as the text has \d+ frequent characters, but received 270$/,
    );
    await expect(train({ vocab: 300 }, "ab ab")).rejects.toThrow(DataError);
    expect(await fails({ vocab: 300 }, "ab ab")).toMatch(
      /enough for a vocabulary of 300 but received text that gives 2 merges, a vocabulary of 259$/,
    );
  });
});
