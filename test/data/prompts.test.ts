/** Records with a prompt and a completion: the tokens, and which of them count in the loss. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { TokenDataset } from "../../lib/data/dataset.js";
import { mergeParts, type PrepareOptions, prepareDataset, preparePart } from "../../lib/data/prepare.js";
import { readDocuments } from "../../lib/data/sources.js";
import { Tokenizer } from "../../lib/data/tokenizer.js";
import { DataError } from "../../lib/errors.js";
import { madeTokenizer } from "../support/made_tokenizer.js";
import { temporaryFolder } from "../support/temporary.js";
import { fixture, read } from "./sources/reading.js";

const path = temporaryFolder();

interface Row {
  readonly prompt: string | null;
  readonly completion: string | null;
}

const rows: Row[] = [
  { prompt: "Two and two?\n", completion: " Four." },
  { prompt: "", completion: "No prompt." },
  { prompt: null, completion: "None at all." },
  { prompt: "Passed over", completion: "" },
  { prompt: "and this", completion: null },
  { prompt: "ab", completion: "ab" },
  ...Array.from({ length: 40 }, (_, i) => ({ prompt: `How many of ${i}?`, completion: ` There are ${i * i}.` })),
];
const kept = rows.filter(({ completion }) => completion);

function write(name: string, of: readonly Row[]): string {
  writeFileSync(path(name), of.map((row) => JSON.stringify(row)).join("\n"));
  return path(name);
}

/** With the merge of "ab" with "ab", which a cut between them keeps apart. */
function prepare(changes: Partial<PrepareOptions> = {}) {
  const merges = [
    ["a", "b"],
    ["ab", "ab"],
  ] as const;
  writeFileSync(path("tokenizer.json"), madeTokenizer({ merges }));
  const files = [write("a.jsonl", rows)];
  const given = {
    files,
    out: path("out"),
    tokenizerPath: path("tokenizer.json"),
    promptField: "prompt",
    valFraction: 0,
  };
  return prepareDataset({ ...given, ...changes });
}

async function stored(pattern = "out/train_*.bin") {
  await using dataset = await TokenDataset.open(path(pattern));
  const [tokens, mask] = [new Int32Array(dataset.tokenCount), new Uint8Array(dataset.tokenCount)];
  await dataset.read(0, tokens);
  await dataset.readMask(0, mask);
  return { tokens, mask };
}

/** The ids and the mask that records have, by the library's own ids of each prompt and each completion. */
async function expected(of: readonly Row[], tokenizer: Tokenizer) {
  const tokens: number[] = [];
  const mask: number[] = [];
  for (const { prompt, completion } of of) {
    const [before, after] = [prompt ? await tokenizer.encode(prompt) : [], await tokenizer.encode(completion!)];
    tokens.push(tokenizer.endOfTextId, ...before, ...after);
    mask.push(1, ...Array.from(before, () => 0), ...Array.from(after, () => 1));
  }
  return { tokens: Int32Array.from(tokens), mask: Uint8Array.from(mask) };
}

describe("records with prompts", () => {
  it("are encoded as prompt and completion, of which the prompt does not count and the token before it does", async () => {
    const info = await prepare();
    const tokenizer = await Tokenizer.fromFile(path("tokenizer.json"));
    const found = await stored();
    expect(found).toEqual(await expected(kept, tokenizer));
    expect(info.documents.train).toBe(kept.length);
    expect(info.passedOver).toEqual({ null: 1, empty: 1 });
    expect(await tokenizer.decode(found.tokens)).toBe(
      kept.map(({ prompt, completion }) => `${prompt ?? ""}${completion}`).join(""),
    );
    const [shard] = info.shards;
    const bytes = readFileSync(path("out/train_000000.mask"));
    const labels = found.mask.reduce((sum, bit) => sum + bit, 0);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    expect(shard!.mask).toEqual({ file: "train_000000.mask", bytes: bytes.length, sha256, labels });
    expect(info.bytes.train).toBe(
      kept.reduce((sum, row) => sum + (row.prompt ?? "").length + row.completion!.length, 0),
    );
  });

  it.each<[string, Partial<PrepareOptions>]>([
    ["a share", { valFraction: 0.2 }],
    ["the last document", { valFraction: 1e-9 }],
  ])("keep their masks where %s is held out, in shards of any length and in parts", async (_, changes) => {
    const options = { ...changes, shardTokens: 61 };
    await prepare(options);
    const whole = await stored("out/*.bin");
    const tokenizer = await Tokenizer.fromFile(path("tokenizer.json"));
    // Of whole documents, in another order.
    const all = await expected(kept, tokenizer);
    const sum = (mask: Uint8Array) => mask.reduce((total, bit) => total + bit, 0);
    expect([whole.tokens.length, sum(whole.mask)]).toEqual([all.tokens.length, sum(all.mask)]);
    const files = [write("1.jsonl", rows.slice(0, 20)), write("2.jsonl", rows.slice(20))];
    await prepare({ ...options, files });
    for (const index of [1, 2]) {
      const part = { ...options, files, promptField: "prompt", tokenizerPath: path("tokenizer.json") };
      await preparePart({ ...part, out: path(`part-${index}`) }, { index, of: 2 });
    }
    await mergeParts({ parts: [path("part-2"), path("part-1")], out: path("joined") });
    const contents = (folder: string) =>
      readdirSync(path(folder)).map((name) => [name, readFileSync(path(`${folder}/${name}`), "base64")]);
    expect(contents("joined")).toEqual(contents("out"));
    expect(readdirSync(path("joined")).filter((name) => name.endsWith(".mask")).length).toBeGreaterThan(5);

    const damaged = readFileSync(path("part-1/part_000000.mask"));
    damaged[0]! ^= 1;
    writeFileSync(path("part-1/part_000000.mask"), damaged);
    await expect(mergeParts({ parts: [path("part-2"), path("part-1")], out: path("other") })).rejects.toThrow(
      /part_000000\.mask: expected a file of SHA-256/,
    );
  });

  it("have no space put before a completion by a tokenizer that puts one before a text", async () => {
    const tokenizerPath = fileURLToPath(new URL("../fixtures/encode/llama2.json", import.meta.url));
    const files = [write("river.jsonl", [{ prompt: "The river:", completion: "yes" }])];
    await prepare({ files, tokenizerPath });
    const tokenizer = await Tokenizer.fromFile(tokenizerPath);
    const [prompt, whole] = [await tokenizer.encode("The river:"), await tokenizer.encode("The river:yes")];
    const { tokens, mask } = await stored();
    expect([...tokens]).toEqual([tokenizer.endOfTextId, ...whole]);
    expect([...mask]).toEqual([1, ...Array.from(whole, (_, at) => (at < prompt.length ? 0 : 1))]);
  });

  it("end as a document whose only one is divided", async () => {
    await prepare({ files: [write("one.jsonl", [rows[6]!])], valFraction: 0.3 });
    const all = await expected([rows[6]!], await Tokenizer.fromFile(path("tokenizer.json")));
    const [train, val] = [await stored(), await stored("out/val_*.bin")];
    expect([...train.mask, ...val.mask]).toEqual([...all.mask]);
    expect(val.mask.length).toBe(Math.round(0.3 * all.mask.length));
  });

  it("replace an earlier dataset with its masks", async () => {
    await prepare();
    await prepare({ promptField: undefined, textField: "completion" } as never);
    expect(readdirSync(path("out")).filter((name) => name.endsWith(".mask"))).toEqual([]);
  });

  it("are read from JSON and CSV, and from other names", async () => {
    writeFileSync(path("a.json"), JSON.stringify(rows));
    const texts = kept.map(({ prompt, completion }) => `${prompt ?? ""}${completion}`);
    expect((await read(path("a.json"), { promptField: "prompt" })).texts).toEqual(texts);
    writeFileSync(path("a.csv"), 'id,q,a\n1,"x, ","y"\n2,,z\n3,w,\n');
    const csv = await read(path("a.csv"), { promptField: "q", textField: "a" });
    expect([csv.texts, csv.passedOver]).toEqual([["x, y", "z"], { null: 0, empty: 1 }]);
    writeFileSync(path("b.jsonl"), JSON.stringify({ chat: { q: "x", a: "y" } }));
    expect((await read(path("b.jsonl"), { promptField: "chat.q", textField: "chat.a" })).texts).toEqual(["xy"]);
  });

  it.each(["snappy.parquet", "v2.parquet", "plain_stream.arrow", "zstd_file.arrow"])(
    "are read from %s",
    async (name) => {
      const byRow = async (textField: string) => {
        const found = new Map<number, string>();
        for await (const { text, where } of readDocuments(fixture(name), undefined, { textField })) {
          found.set(where.row!, text);
        }
        return found;
      };
      const [prompts, completions] = [await byRow("meta.body"), await byRow("text")];
      const fields = { promptField: "meta.body", textField: "text" };
      const { texts, bytes } = await read(fixture(name), fields);
      expect(texts).toEqual([...completions].map(([row, text]) => `${prompts.get(row) ?? ""}${text}`));
      expect(prompts.size).toBeGreaterThan(10);
      expect(bytes).toBeCloseTo(readFileSync(fixture(name)).length);
      await expect(read(fixture(name), { ...fields, promptField: "words" })).rejects.toThrow(
        /: expected a field "words" but received the columns id, vector, text, meta; name the prompt's field with --prompt/,
      );
    },
  );

  it.each([
    ["a.jsonl", '{"completion": "a"}', /expected an object with a "prompt" string but received one with the keys comp/],
    ["b.jsonl", '{"prompt": "a", "text": "b"}', /expected an object with a "completion" string but received/],
    ["c.jsonl", '{"prompt": 3, "completion": "b"}', /expected an object with a "prompt" string but received 3$/],
    ["d.json", '["a"]', /expected an object but received/],
    ["e.csv", "completion\nb\n", /expected a field "prompt" but .* name the prompt's field with --prompt-field$/],
    ["f.csv", "prompt,prompt,completion\na,b,c\n", /expected one column "prompt" but received two$/],
    ["g.txt", "a", /g\.txt: expected records, as they have prompts, but received text$/],
    ["h.jsonl", '{"prompt": "\\ud800", "completion": "b"}', /half of a surrogate pair/],
  ])("are refused in %s: %s", async (name, content, says) => {
    writeFileSync(path(name), content);
    const error: unknown = await read(path(name), { promptField: "prompt" }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DataError);
    expect((error as Error).message).toMatch(says);
  });
});
