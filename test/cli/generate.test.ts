/** `nextpatch generate`: one prompt, and a file of them. */
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "@jest/globals";
import { builtCommand, complaint } from "../support/built.js";

const nextpatch = builtCommand();
const folder = fileURLToPath(new URL("../fixtures/prompts/own", import.meta.url));
const model = ["--model", folder, "--device", "cpu", "--precision", "fp32", "--max-tokens", "12"];
const greedy = [...model, "--temperature", "0", "--repetition-penalty", "1.3"];

interface Result {
  readonly prompt: string;
  readonly text: string;
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly finish: string;
}

async function generate(...args: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await nextpatch("generate", ...args, "--json");
  expect({ code, complaint: complaint(stderr).replace(/^generate: 100%.*\n/, "") }).toEqual({ code: 0, complaint: "" });
  return JSON.parse(stdout);
}

const timeless = (result: Result) => ({ ...result, tokensPerSecond: 0 });

beforeAll(() => {
  writeFileSync(nextpatch.path("prompts.txt"), "\ufeffriver12 stone\r\n\n  lamp\nquiet7. stone lamp river1 stone");
  writeFileSync(
    nextpatch.path("prompts.jsonl"),
    '{"prompt": "river12 stone", "more": 1}\n"  lamp"\n\n{"prompt":"quiet7. stone lamp river1 stone"}\n',
  );
});

describe("generate", () => {
  it("continues the prompts of a file as each alone, in their order", async () => {
    const { results, ...rest } = (await generate(...greedy, "--prompts", "prompts.txt")) as { results: Result[] };
    expect(rest).toEqual({});
    expect(results.map(({ prompt }) => prompt)).toEqual(["river12 stone", "  lamp", "quiet7. stone lamp river1 stone"]);
    const alone: Result[] = [];
    for (const { prompt } of results) alone.push((await generate(...greedy, "--prompt", prompt)) as Result);
    expect(results.map(timeless)).toEqual(alone.map(timeless));
    expect(Object.keys(results[0]!)).toEqual(Object.keys(alone[0]!));

    const lines = (await generate(...greedy, "--prompts", "prompts.jsonl")) as { results: Result[] };
    expect(lines.results.map(timeless)).toEqual(alone.map(timeless));
    const { stdout } = await nextpatch("generate", ...greedy, "--prompts", "prompts.txt");
    expect(stdout).toBe(`${results.map(({ prompt, text }) => prompt + text).join("\n\n")}\n`);
  });

  it("names the tokenizer that has more tokens than its model", async () => {
    cpSync(folder, nextpatch.path("other"), { recursive: true });
    const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as { vocab_size: number };
    const file = nextpatch.path("other/tokenizer.json");
    const json = JSON.parse(readFileSync(file, "utf8")) as { added_tokens: object[] };
    const { vocab_size: size } = config;
    for (let id = size; id < 2 * size; id++)
      json.added_tokens.push({ ...json.added_tokens[0], id, content: `<|${id}|>` });
    writeFileSync(file, JSON.stringify(json));
    rmSync(nextpatch.path("other/manifest.json"), { force: true });
    const { code, stderr } = await nextpatch("generate", "--model", "other", "--prompt", "a", "--device", "cpu");
    expect(stderr).toMatch(
      new RegExp(
        `^nextpatch: other/tokenizer\\.json: expected at most the model's ${size} tokens \\(vocab_size\\) but received \\d+$`,
        "m",
      ),
    );
    expect(code).toBe(1);
  });

  it("changes the text with each setting", async () => {
    const text = async (...flags: string[]) =>
      ((await generate(...model, "--prompt", "lamp quiet6. river12 stone", ...flags)) as Result).text;
    const likeliest = await text("--temperature", "0");
    expect(await text("--temperature", "1", "--min-p", "1")).toBe(likeliest);
    expect(await text("--temperature", "5")).not.toBe(likeliest);
    expect(await text("--temperature", "0", "--repetition-penalty", "3")).not.toBe(likeliest);
  });

  it.each([
    { args: ["--prompt", "a", "--min-p", "1.5"], says: /--min-p.*'1\.5' .*from 0 to 1/ },
    { args: ["--prompt", "a", "--min-p", "-0.1"], says: /--min-p.*'-0\.1' .*from 0 to 1/ },
    { args: ["--prompt", "a", "--repetition-penalty", "0"], says: /--repetition-penalty.*'0' .*from 0\.01 to 100/ },
    { args: ["--prompt", "a", "--repetition-penalty", "-1"], says: /--repetition-penalty.*'-1' .*from 0\.01 to 100/ },
    { args: [], says: /^nextpatch: generate: expected one of --prompt and --prompts but received neither$/m },
    {
      args: ["--prompt", "a", "--prompts", "prompts.txt"],
      says: /^nextpatch: generate: expected one of --prompt and --prompts but received both$/m,
    },
    { args: ["--prompts", "none.txt"], says: /--prompts: none\.txt: expected text but received a file that does not/ },
    { file: ["empty.txt", ""], says: /--prompts: empty\.txt: expected at least one prompt but received none$/m },
    {
      file: ["blank.jsonl", "\n \n"],
      says: /--prompts: blank\.jsonl: expected at least one prompt but received none$/m,
    },
    { file: ["latin.txt", Buffer.of(0x61, 10, 0xe9, 0x61)], says: /--prompts: latin\.txt:2: expected UTF-8 text but/ },
    { file: ["a.jsonl", '"a"\n{'], says: /--prompts: a\.jsonl:2: expected .*JSON.* but received / },
    {
      file: ["b.jsonl", "3"],
      says: /--prompts: b\.jsonl:1: expected a string or an object with a .* but received 3$/m,
    },
    { file: ["c.jsonl", '{"text":"a"}'], says: /c\.jsonl:1: prompt: expected a string but received nothing$/m },
    {
      file: ["long.txt", `a\n\n${"stone ".repeat(900)}`],
      says: /^nextpatch: long\.txt:3: expected at most \d+ tokens, since the model's context .* but received \d+$/m,
    },
  ] as { args?: string[]; file?: [string, string | Buffer]; says: RegExp }[])(
    "ends with 2 and one line on wrong usage: $says",
    async ({ args, file, says }) => {
      if (file) writeFileSync(nextpatch.path(file[0]), file[1]);
      const { code, stdout, stderr } = await nextpatch("generate", ...model, ...(args ?? ["--prompts", file![0]]));
      expect(stderr).toMatch(says);
      expect(complaint(stderr)).toMatch(/^nextpatch: .*\n$/);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    },
  );
});
