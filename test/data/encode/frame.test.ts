/** What post-processors put around documents, as the library does it. */
import { describe, expect, it } from "@jest/globals";
import { encodeDocuments } from "../../../lib/data/encode/encode_documents.js";
import type { SourceText } from "../../../lib/data/encode/pieces.js";
import { nativeTokenizers, Tokenizer } from "../../../lib/data/tokenizer.js";

const TOKENS = ["<s>", "</s>", "<|endoftext|>", "[CLS]", "[SEP]"];
const LETTERS = [..."ab cdefgЖ"];

const special = (name: string, typeId = 0) => ({ SpecialToken: { id: name, type_id: typeId } });
const sequence = (id: string, typeId = 0) => ({ Sequence: { id, type_id: typeId } });

function template(...single: object[]) {
  const tokens = TOKENS.map((token, id) => [token, { id: token, ids: [id], tokens: [token] }] as const);
  return {
    type: "TemplateProcessing",
    single,
    pair: [sequence("A"), sequence("B", 1)],
    special_tokens: Object.fromEntries(tokens),
  };
}

const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };

const processors: Record<string, { processor: object | null; before: number[]; after: number[] }> = {
  none: { processor: null, before: [], after: [] },
  "ByteLevel, as GPT-2's": { processor: byteLevel, before: [], after: [] },
  "a beginning, as Llama's": { processor: template(special("<s>"), sequence("A")), before: [0], after: [] },
  "an end, as T5's": { processor: template(sequence("A"), special("</s>")), before: [], after: [1] },
  "the same around, as some models'": {
    processor: template(special("</s>"), sequence("A"), special("</s>")),
    before: [1],
    after: [1],
  },
  "end-of-text before": { processor: template(special("<|endoftext|>"), sequence("A")), before: [2], after: [] },
  "BERT's": {
    processor: { type: "BertProcessing", sep: ["[SEP]", 4], cls: ["[CLS]", 3] },
    before: [3],
    after: [4],
  },
  "RoBERTa's": {
    processor: {
      type: "RobertaProcessing",
      sep: ["</s>", 1],
      cls: ["<s>", 0],
      trim_offsets: true,
      add_prefix_space: true,
    },
    before: [0],
    after: [1],
  },
  "a sequence, as Llama 3's": {
    processor: { type: "Sequence", processors: [byteLevel, template(special("<s>"), sequence("A"))] },
    before: [0],
    after: [],
  },
};

const tokenizerJson = (processor: object | null, letters = LETTERS): string =>
  JSON.stringify({
    version: "1.0",
    added_tokens: TOKENS.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: null,
    post_processor: processor,
    decoder: null,
    model: {
      type: "BPE",
      vocab: Object.fromEntries([...TOKENS, ...letters].map((token, id) => [token, id])),
      merges: [],
    },
  });

async function* sources(texts: readonly string[]): AsyncGenerator<SourceText> {
  for (const text of texts) yield { text, first: true, source: 0, file: "texts", where: { line: 1 } } as SourceText;
}

async function encoded(json: string, texts: readonly string[], endOfText: string): Promise<number[][]> {
  const tokenizer = await Tokenizer.fromJson(json, "tokenizer", { endOfText });
  const documents: number[][] = [];
  for await (const pieces of encodeDocuments(sources(texts), tokenizer, 1)) {
    for (const { piece, ids } of pieces) {
      if (piece.continues) documents.at(-1)!.push(...ids);
      else documents.push([...ids]);
    }
  }
  return documents;
}

describe.each(Object.entries(processors))("post-processor: %s", (_, { processor, before, after }) => {
  it("is found", async () => {
    const tokenizer = await Tokenizer.fromJson(tokenizerJson(processor));
    expect(await tokenizer.frame()).toEqual({ before, after });
    const others = await Tokenizer.fromJson(tokenizerJson(processor, [..."жщЖ"]));
    expect(await others.frame()).toEqual({ before, after });
  });

  it("gives documents the library's ids, behind the end-of-text token unless they begin with it", async () => {
    const texts = ["a bad cafe", "<|endoftext|>abc", "Ж", "b<s>"];
    const json = tokenizerJson(processor);
    const native = (await nativeTokenizers())(json);
    const library = await native.encodeBatch(texts, { addSpecialTokens: true });
    const expected = library.map((encoding) => encoding.getIds()).map((ids) => (ids[0] === 2 ? ids : [2, ...ids]));
    expect(await encoded(json, texts, "<|endoftext|>")).toEqual(expected);
  });
});

it("a post-processor that gives a text twice is refused", async () => {
  const tokenizer = await Tokenizer.fromJson(
    tokenizerJson(template(sequence("A"), special("<s>"), sequence("A"))),
    "odd",
  );
  await expect(tokenizer.frame()).rejects.toThrow(
    "odd: post_processor: expected one that puts the same tokens around every text but received another",
  );
});
