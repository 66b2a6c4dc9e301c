/** Which token ends a text, and the files beside a tokenizer that say it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { endOfText } from "../../lib/data/end_of_text.js";
import { Tokenizer } from "../../lib/data/tokenizer.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

const end = (vocabulary: readonly string[], chosen?: string, configured?: string): string => {
  const idOf = (token: string) => (vocabulary.includes(token) ? vocabulary.indexOf(token) : null);
  return endOfText({ name: "t.json", chosen, configured, idOf }).token;
};

describe("the end of a text", () => {
  it("is the one that was asked for", () => {
    expect(end(["</s>", "<stop>"], "<stop>", "</s>")).toBe("<stop>");
    expect(() => end(["</s>"], "<stop>", "</s>")).toThrow(
      "t.json: expected the end-of-text token <stop> but received a vocabulary without it",
    );
  });

  it("is else eos_token of tokenizer_config.json, unless that ends a turn of a chat", () => {
    expect(end(["<|endoftext|>", "</s>"], undefined, "</s>")).toBe("</s>");
    expect(end(["<|endoftext|>", "<|im_end|>"], undefined, "<|im_end|>")).toBe("<|endoftext|>");
    expect(end(["<｜end▁of▁sentence｜>", "a"], undefined, "<｜end▁of▁sentence｜>")).toBe("<｜end▁of▁sentence｜>");
    expect(end(["<|endoftext|>"], undefined, "</s>")).toBe("<|endoftext|>");
  });

  it("is else the first usual name", () => {
    expect(end(["<eos>", "</s>"])).toBe("</s>");
    expect(() => end(["a"])).toThrow(
      "t.json: expected an end-of-text token, <|endoftext|>, </s>, <|end_of_text|> or <eos>, " +
        "but received a vocabulary without one, and no other was named",
    );
    expect(() => end(["a"], undefined, "b")).toThrow("received a vocabulary without one");
  });
});

const json = JSON.stringify({
  version: "1.0",
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  model: { type: "BPE", vocab: { a: 0, "<stop>": 1, "</s>": 2 }, merges: [] },
});

function folder(name: string, config: string | null, file = "tokenizer.json"): string {
  mkdirSync(path(name));
  writeFileSync(path(`${name}/${file}`), json);
  if (config !== null) writeFileSync(path(`${name}/tokenizer_config.json`), config);
  return path(name);
}

describe("Tokenizer.fromFile", () => {
  it("takes a folder, and reads eos_token beside the file", async () => {
    const stop = json.replace('"</s>":2', '"b":2');
    const at = folder("stop", '{"eos_token": {"content": "<stop>", "lstrip": false}}');
    writeFileSync(path("stop/tokenizer.json"), stop);
    expect((await Tokenizer.fromFile(at)).endOfText).toBe("<stop>");
    expect((await Tokenizer.fromFile(path("stop/tokenizer.json"))).endOfTextId).toBe(1);
    expect((await Tokenizer.fromFile(folder("null", '{"eos_token": null}'))).endOfText).toBe("</s>");
    expect((await Tokenizer.fromFile(folder("bare", null), { endOfText: "a" })).endOfTextId).toBe(0);
  });

  it("does not read what lies beside a file of another name", async () => {
    folder("other", '{"eos_token": "a"}', "mine.json");
    writeFileSync(path("other/mine.json"), json.replace('"</s>"', '"b"'));
    const tokenizer = await Tokenizer.fromFile(path("other/mine.json"));
    expect(() => tokenizer.endOfTextId).toThrow("mine.json: expected an end-of-text token");
  });

  it("names a tokenizer_config.json that is not one, a token that is missing, and a folder without a tokenizer", async () => {
    await expect(Tokenizer.fromFile(folder("broken", "{"))).rejects.toThrow(
      /broken\/tokenizer_config\.json: expected JSON but received other text/,
    );
    await expect(Tokenizer.fromFile(folder("number", '{"eos_token": 7}'))).rejects.toThrow(
      /number\/tokenizer_config\.json: eos_token: expected a token or null but received 7$/,
    );
    await expect(Tokenizer.fromFile(folder("bare", null), { endOfText: "<eot>" })).rejects.toThrow(
      /bare\/tokenizer\.json: expected the end-of-text token <eot> but received a vocabulary without it$/,
    );
    mkdirSync(path("empty"));
    await expect(Tokenizer.fromFile(path("empty"))).rejects.toThrow(
      /empty\/tokenizer\.json: expected a tokenizer\.json/,
    );
  });
});
