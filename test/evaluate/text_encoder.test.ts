import { writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { Tokenizer } from "../../lib/data/tokenizer.js";
import { TextEncoder } from "../../lib/evaluate/text_encoder.js";
import { scoringFolder } from "../support/scoring.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
const [endOfText, start] = [0, 1];
const tokenizerOf = (name: string) => Tokenizer.fromFile(`${scoringFolder}/${name}.json`);

async function encoderOf(name: string, config?: object): Promise<TextEncoder> {
  if (config !== undefined) writeFileSync(path("tokenizer_config.json"), JSON.stringify(config));
  return TextEncoder.of(await tokenizerOf(name), config === undefined ? null : path());
}

describe("an empty context", () => {
  it.each([
    ["the post-processor's token", "bos", { bos_token: "<|endoftext|>" }, start],
    ["bos_token", "plain", { bos_token: "<s>" }, start],
    ["bos_token, written out", "plain", { bos_token: { content: "<s>" } }, start],
    ["the end-of-text token", "plain", { bos_token: null }, endOfText],
    ["the end-of-text token, where bos_token is none", "plain", { bos_token: "no such token" }, endOfText],
    ["the end-of-text token, without a config", "plain", undefined, endOfText],
  ])("is %s", async (_, name, config, expected) => {
    const [pair] = await (await encoderOf(name, config)).pairs([{ context: "", continuation: " river" }]);
    expect(pair!.context).toEqual([expected]);
    expect(pair!.continuation).toEqual([...(await (await tokenizerOf("plain")).encode(" river"))]);
  });

  it("is not put before a continuation that begins with it", async () => {
    const [pair] = await (await encoderOf("bos")).pairs([{ context: "", continuation: "<s> river" }]);
    expect(pair!.context).toEqual([start]);
    expect(pair!.continuation).toEqual([...(await (await tokenizerOf("plain")).encode(" river"))]);
  });

  it("stands for one of spaces that no token comes before", async () => {
    const [pair] = await (await encoderOf("plain")).pairs([{ context: " \n", continuation: "river" }]);
    expect(pair!.context).toEqual([endOfText]);
    expect(pair!.continuation).toEqual([...(await (await tokenizerOf("plain")).encode(" \nriver"))]);
  });
});

describe("a pair", () => {
  it("moves the spaces that Python strips, and no others", async () => {
    const encoder = await encoderOf("bos");
    const decoded = async (context: string) => {
      const [pair] = await encoder.pairs([{ context, continuation: "x" }]);
      return (await tokenizerOf("bos")).decode([...pair!.continuation]);
    };
    for (const space of [" ", "\n", "\t", "\x1c", "\u0085", "\u00a0", "\u2003"]) {
      expect(await decoded(`stone${space} `)).toBe(`${space} x`);
    }
    expect(await decoded("stone\ufeff")).toBe("x");
  });

  it("begins with the post-processor's token once", async () => {
    const encoder = await encoderOf("bos");
    const [plain, named] = await encoder.encode(["stone", "<s>stone"]);
    expect(plain).toEqual(named);
    expect(plain![0]).toBe(start);
  });
});
