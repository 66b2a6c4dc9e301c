import { createHash } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { TokenDataset } from "../../lib/data/dataset.js";
import type { DatasetInfo, PrepareOptions, PrepareProgress } from "../../lib/data/prepare.js";
import { prepareDataset } from "../../lib/data/prepare.js";
import { Tokenizer } from "../../lib/data/tokenizer.js";
import { ConfigError, DataError } from "../../lib/errors.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

/** Document i of the corpus; its number appears in no other. */
const document = (i: number): string => `Entry [${i}]: the quick brown fox, once more 😀\nand the lazy dog.\n`;

function corpus(count: number): string {
  const lines = Array.from({ length: count }, (_, i) => JSON.stringify({ text: document(i) }));
  writeFileSync(path("a.jsonl"), lines.join("\n"));
  return path("a.jsonl");
}

function prepare(options: Partial<PrepareOptions>): Promise<DatasetInfo> {
  return prepareDataset({ files: [path("a.jsonl")], out: path("out"), trainTokenizerVocab: 280, ...options });
}

/** The documents of a split, decoded; each must follow one end-of-text token. */
async function decoded(split: string): Promise<string[]> {
  const dataset = await TokenDataset.open(path(`out/${split}_*.bin`));
  const tokens = new Int32Array(dataset.tokenCount);
  await dataset.read(0, tokens);
  await dataset.close();
  const tokenizer = await Tokenizer.fromFile(path("out/tokenizer.json"));
  const text = await tokenizer.decode(tokens, { keepSpecialTokens: true });
  const [before, ...documents] = text.split("<|endoftext|>");
  expect(before).toBe("");
  return documents;
}

const files = (folder = "out"): string[] => readdirSync(path(folder)).sort();
const info = (): DatasetInfo => JSON.parse(readFileSync(path("out/dataset.json"), "utf8")) as DatasetInfo;

async function fails(options: Partial<PrepareOptions>, type: new (message: string) => Error): Promise<string> {
  const before = files("");
  const error: unknown = await prepare(options).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(type);
  expect(files("")).toEqual(before);
  return (error as Error).message;
}

describe("prepareDataset", () => {
  it("writes every document once, whole, to one split", async () => {
    const count = 400;
    corpus(count);
    writeFileSync(path("b.txt"), "A file of its own.");
    writeFileSync(path("empty.txt"), "");
    const result = await prepare({ files: [path("a.jsonl"), path("empty.txt"), path("b.txt")], valFraction: 0.1 });
    expect(files()).toEqual(["dataset.json", "tokenizer.json", "train_000000.bin", "val_000000.bin"]);
    expect(files("")).toEqual(["a.jsonl", "b.txt", "empty.txt", "out"]);
    const [train, val] = [await decoded("train"), await decoded("val")];
    const all = [...Array.from({ length: count }, (_, i) => document(i)), "A file of its own."];
    expect([...train, ...val].sort()).toEqual([...all].sort());
    expect(train).toEqual(all.filter((text) => train.includes(text))); // in the sources' order
    expect(Math.abs(val.length - 0.1 * all.length)).toBeLessThan(3);
    expect(result).toEqual(info());
    expect(result).toMatchObject({
      vocabSize: 280,
      endOfTextId: 0,
      dtype: "uint16",
      documents: { train: train.length, val: val.length },
      heldOut: "documents",
      valFraction: 0.1,
      tokenizerSha256: (await Tokenizer.fromFile(path("out/tokenizer.json"))).hash,
      sources: [
        { file: path("a.jsonl"), bytes: readFileSync(path("a.jsonl")).length, documents: count },
        { file: path("empty.txt"), bytes: 0, documents: 0 },
        { file: path("b.txt"), bytes: 18, documents: 1 },
      ],
    });
    for (const split of ["train", "val"] as const) {
      const dataset = await TokenDataset.open(path(`out/${split}_*.bin`));
      expect(result.tokens[split]).toBe(dataset.tokenCount);
      await dataset.close();
    }
  });

  it("gives the same bytes again, and the same stream in shards of any size", async () => {
    corpus(60);
    const whole = await prepare({ valFraction: 0.2 });
    const bytes = files().map((name) => readFileSync(path(`out/${name}`)).toString("base64"));
    await prepare({ valFraction: 0.2 });
    expect(files().map((name) => readFileSync(path(`out/${name}`)).toString("base64"))).toEqual(bytes);
    const texts = [await decoded("train"), await decoded("val")];
    const { shards, ...rest } = await prepare({ valFraction: 0.2, shardTokens: 300 });
    expect({ ...rest, shards: whole.shards }).toEqual(whole);
    for (const { file, tokens, bytes, sha256 } of [...shards, ...info().shards]) {
      const content = readFileSync(path(`out/${file}`));
      expect({ bytes, tokens, sha256 }).toEqual({
        bytes: content.length,
        tokens: content.readInt32LE(8),
        sha256: createHash("sha256").update(content).digest("hex"),
      });
    }
    expect(shards.map(({ file }) => file)).toEqual(files().filter((name) => name.endsWith(".bin")));
    expect(files().filter((name) => name.startsWith("train")).length).toBe(Math.ceil(whole.tokens.train / 300));
    expect([await decoded("train"), await decoded("val")]).toEqual(texts);
  });

  it("encodes a long document as if in one piece", async () => {
    const long = Array.from({ length: 4000 }, (_, i) => document(i)).join("");
    writeFileSync(path("long.txt"), long);
    const result = await prepare({ files: [path("long.txt")], valFraction: 0.25 });
    const tokenizer = await Tokenizer.fromFile(path("out/tokenizer.json"));
    const dataset = await TokenDataset.open([path("out/train_000000.bin"), path("out/val_000000.bin")]);
    const tokens = new Int32Array(dataset.tokenCount);
    await dataset.read(0, tokens);
    await dataset.close();
    const expected = Int32Array.from([0, ...(await tokenizer.encode(long))]);
    expect(Buffer.compare(Buffer.from(tokens.buffer), Buffer.from(expected.buffer))).toBe(0);
    expect(result).toMatchObject({ heldOut: "tail", documents: { train: 1, val: 0 } });
    expect(result.tokens.val).toBe(Math.round(0.25 * expected.length));
  });

  it.each([40, 1000])("holds out the last document if the rule chose none, shards of %i", async (shardTokens) => {
    corpus(3);
    const result = await prepare({ valFraction: 1e-9, shardTokens, trainTokenizerVocab: 260 });
    expect(result).toMatchObject({ heldOut: "last-document", documents: { train: 2, val: 1 } });
    expect(await decoded("train")).toEqual([document(0), document(1)]);
    expect(await decoded("val")).toEqual([document(2)]);
    const shards = Math.ceil(result.tokens.train / shardTokens) + Math.ceil(result.tokens.val / shardTokens);
    expect(files().filter((name) => name.endsWith(".bin")).length).toBe(shards);
  });

  it("learns its tokenizer from the training documents alone", async () => {
    corpus(30);
    await prepare({ valFraction: 0.3 });
    const learnt = readFileSync(path("out/tokenizer.json"), "utf8");
    const heldOut = new Set(await decoded("val"));
    expect(heldOut.size).toBeGreaterThan(1);
    // Other text in the held-out documents must change nothing.
    const other = "zzyzx ".repeat(500);
    const changed = Array.from({ length: 30 }, (_, i) => (heldOut.has(document(i)) ? other : document(i)));
    writeFileSync(path("a.jsonl"), changed.map((text) => JSON.stringify({ text })).join("\n"));
    await prepare({ valFraction: 0.3 });
    expect(readFileSync(path("out/tokenizer.json"), "utf8")).toBe(learnt);
    expect(new Set(await decoded("val"))).toEqual(new Set([other]));
  });

  it("takes a tokenizer.json as it is, and wide tokens for a wide vocabulary", async () => {
    corpus(20);
    await prepare({});
    const parts = JSON.parse(readFileSync(path("out/tokenizer.json"), "utf8")) as {
      model: { vocab: Record<string, number>; merges: unknown[] };
    };
    for (let id = 280; id < 65_536; id++) parts.model.vocab[`unused ${id}`] = id;
    const save = (): void => writeFileSync(path("wide.json"), JSON.stringify(parts));
    const options = { tokenizerPath: path("wide.json"), trainTokenizerVocab: undefined };
    save();
    expect(await prepare(options)).toMatchObject({ vocabSize: 65_536, dtype: "uint16" });
    parts.model.vocab["one more"] = 65_536;
    save();
    expect(await prepare(options)).toMatchObject({ vocabSize: 65_537, dtype: "uint32" });
    expect(readFileSync(path("out/tokenizer.json"), "utf8")).toBe(readFileSync(path("wide.json"), "utf8"));
    expect((await decoded("train")).concat(await decoded("val")).sort()).toEqual(
      Array.from({ length: 20 }, (_, i) => document(i)).sort(),
    );
    // The tokenizer of the dataset that is being replaced will do, too.
    expect(await prepare({ ...options, tokenizerPath: path("out/tokenizer.json") })).toMatchObject({ dtype: "uint32" });
  });

  it("replaces a dataset behind a link and keeps the link", async () => {
    corpus(10);
    mkdirSync(path("disk"));
    symlinkSync(path("disk"), path("out"));
    await prepare({});
    await prepare({ valFraction: 0.5 });
    expect(lstatSync(path("out")).isSymbolicLink()).toBe(true);
    expect(info().valFraction).toBe(0.5);
    expect(files("")).toEqual(["a.jsonl", "disk", "out"]);
  });

  it("tells its progress", async () => {
    corpus(50);
    const seen: PrepareProgress[] = [];
    await prepare({ onProgress: (progress) => seen.push({ ...progress }) });
    const size = readFileSync(path("a.jsonl")).length;
    expect(seen.map(({ phase, bytes, totalBytes }) => [phase, bytes, totalBytes])).toEqual([
      ["tokenizer", size, size],
      ["encode", size, size],
      ["encode", size, size],
    ]);
  });

  it("trains the tokenizer that is asked for", async () => {
    corpus(50);
    await prepare({});
    const merges = (file: string): unknown =>
      (JSON.parse(readFileSync(path(file), "utf8")) as { model: { merges: unknown } }).model.merges;
    const short = merges("out/tokenizer.json");
    await prepare({ trainTokenizerVocab: undefined, trainTokenizer: { vocab: 280 } });
    expect(merges("out/tokenizer.json")).toEqual(short);
    await prepare({ trainTokenizerVocab: undefined, trainTokenizer: { vocab: 300, byteFallback: true } });
    expect(info()).toMatchObject({ vocabSize: 300, endOfTextId: 2 });
    await prepare({ endOfText: "<end>" });
    expect(info()).toMatchObject({ vocabSize: 280, endOfText: "<end>", endOfTextId: 1 });
    await prepare({ endOfText: "<|endoftext|>" });
    expect(merges("out/tokenizer.json")).toEqual(short);
  });

  it("leaves alone what is not a dataset", async () => {
    corpus(10);
    mkdirSync(path("out"));
    await prepare({});
    writeFileSync(path("out/notes.txt"), "mine");
    expect(await fails({}, ConfigError)).toMatch(
      /out: expected a new or empty folder, .* but received a folder that holds notes\.txt$/,
    );
    expect(readFileSync(path("out/notes.txt"), "utf8")).toBe("mine");
    mkdirSync(path("shards"));
    writeFileSync(path("shards/train_000000.bin"), "no dataset.json beside it");
    expect(await fails({ out: path("shards") }, ConfigError)).toMatch(/holds train_000000\.bin/);
    expect(await fails({ out: path("a.jsonl") }, ConfigError)).toMatch(
      /a\.jsonl: expected a new or empty folder, .* but received a file$/,
    );
  });

  it("leaves the earlier dataset, and nothing else, when it fails", async () => {
    corpus(10);
    await prepare({});
    const earlier = readFileSync(path("out/dataset.json"), "utf8");
    writeFileSync(path("bad.txt"), Buffer.concat([Buffer.from("fine ".repeat(100_000)), Buffer.of(0xff)]));
    const bad = [path("a.jsonl"), path("bad.txt")];
    expect(await fails({ files: bad }, DataError)).toMatch(/bad\.txt:1: expected UTF-8 text .* at byte 500000$/);
    const tokenizer = { tokenizerPath: path("out/tokenizer.json"), trainTokenizerVocab: undefined };
    expect(await fails({ files: bad, ...tokenizer }, DataError)).toMatch(/bad\.txt:1: expected UTF-8 text/);
    const abort = new AbortController();
    const aborted = prepare({ onProgress: () => abort.abort(new Error("interrupted")), signal: abort.signal });
    await expect(aborted).rejects.toThrow("interrupted");
    expect(files("")).toEqual(["a.jsonl", "bad.txt", "out"]);
    expect(readFileSync(path("out/dataset.json"), "utf8")).toBe(earlier);
  });

  it("holds nothing out, or takes validation from files of its own", async () => {
    corpus(20);
    const none = await prepare({ valFraction: 0 });
    expect(none).toMatchObject({ heldOut: "none", documents: { train: 20, val: 0 }, tokens: { val: 0 } });
    expect(files()).toEqual(["dataset.json", "tokenizer.json", "train_000000.bin"]);
    writeFileSync(path("v.txt"), "A file for validation.");
    const own = await prepare({ val: [path("v.txt")] });
    expect(own).toMatchObject({
      heldOut: "files",
      documents: { train: 20, val: 1 },
      bytes: { val: 22 },
      valFraction: 0,
    });
    expect(own.sources[1]).toEqual({ file: path("v.txt"), bytes: 22, documents: 1, split: "val" });
    expect(own.tokenizerSha256).toBe(none.tokenizerSha256); // validation teaches the tokenizer nothing
    expect(await decoded("val")).toEqual(["A file for validation."]);
    expect((await decoded("train")).length).toBe(20);
  });

  it("drops duplicates, those of validation too", async () => {
    const texts = ["one", "two", "one", "three", "two", "four", "ones"];
    const long = "A text of more than a piece. ".repeat(50_000);
    const jsonl = (list: string[]) => list.map((text) => JSON.stringify({ text })).join("\n");
    writeFileSync(path("a.jsonl"), jsonl([...texts, long, `${long} `, long]));
    const result = await prepare({ dedup: true, valFraction: 0 });
    const kept = ["one", "two", "three", "four", "ones", long, `${long} `];
    expect(await decoded("train")).toEqual(kept);
    expect(result).toMatchObject({ duplicates: 3, documents: { train: 7, val: 0 }, sources: [{ documents: 7 }] });
    expect(result.bytes.train).toBe(kept.join("").length);
    writeFileSync(path("v.jsonl"), jsonl(["four", "five", "five", "one"]));
    const apart = await prepare({ dedup: true, val: [path("v.jsonl")] });
    expect(apart).toMatchObject({ duplicates: 3 + 3, documents: { train: 5, val: 3 } });
    expect(await decoded("val")).toEqual(["four", "five", "one"]);
    expect(await decoded("train")).toEqual(["two", "three", "ones", long, `${long} `]);
    // As if the duplicates had not been there.
    writeFileSync(path("a.jsonl"), jsonl(Array.from({ length: 90 }, (_, i) => document(i % 60))));
    const { shards } = await prepare({ dedup: true, valFraction: 0.2 });
    corpus(60);
    expect((await prepare({ valFraction: 0.2 })).shards).toEqual(shards);
  });

  it("copies what lies beside a tokenizer.json", async () => {
    corpus(10);
    await prepare({});
    mkdirSync(path("t"));
    for (const name of ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "config.json"]) {
      writeFileSync(path(`t/${name}`), name === "tokenizer.json" ? readFileSync(path(`out/${name}`)) : "{}");
    }
    await prepare({ trainTokenizerVocab: undefined, tokenizerPath: path("t") });
    expect(files().filter((name) => !name.endsWith(".bin"))).toEqual([
      "chat_template.jinja",
      "dataset.json",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    await prepare({}); // replaces all of them
    expect(files()).toEqual(["dataset.json", "tokenizer.json", "train_000000.bin", "val_000000.bin"]);
  });

  it("refuses what it cannot do, before it begins", async () => {
    corpus(10);
    writeFileSync(path("blank.txt"), "");
    writeFileSync(path("word.txt"), "!");
    expect(await fails({ files: [] }, RangeError)).toMatch(/^prepareDataset: files: expected an array of 1 or more /);
    const one =
      "prepareDataset: options: expected one of tokenizerPath, trainTokenizer and trainTokenizerVocab but received";
    expect(await fails({ trainTokenizerVocab: undefined }, RangeError)).toBe(`${one} none`);
    expect(await fails({ tokenizerPath: "x" }, RangeError)).toBe(`${one} tokenizerPath and trainTokenizerVocab`);
    expect(await fails({ trainTokenizerVocab: 100 }, RangeError)).toMatch(/257 to 262144 but received 100$/);
    const training = { trainTokenizerVocab: undefined, trainTokenizer: { vocab: 300, special: ["a", "a"] } };
    expect(await fails(training, RangeError)).toMatch(
      /^prepareDataset: trainTokenizer\.special\[1\]: expected a token /,
    );
    for (const valFraction of [-0.1, 1, NaN]) {
      expect(await fails({ valFraction }, RangeError)).toMatch(/: valFraction: expected a number .* but received /);
    }
    expect(await fails({ shardTokens: 0 }, RangeError)).toMatch(/: shardTokens: expected .* but received 0$/);
    expect(await fails({ files: [path("none.txt")] }, DataError)).toMatch(
      /none\.txt: expected text but received a file that does not exist$/,
    );
    expect(await fails({ files: [path("a.pdf")] }, DataError)).toMatch(
      /a\.pdf: expected a name that ends in .* but received \.pdf$/,
    );
    mkdirSync(path("folder"));
    expect(await fails({ files: [path("folder")] }, DataError)).toMatch(
      /folder: expected files with names that end in .* but received none$/,
    );
    const tiny = { trainTokenizerVocab: 257 };
    expect(await fails({ ...tiny, files: [path("blank.txt")] }, DataError)).toMatch(
      /blank\.txt: expected text but received none$/,
    );
    const word = await fails({ ...tiny, files: [path("word.txt")] }, DataError);
    expect(word).toMatch(
      /word\.txt: expected a document of at least 2 tokens, .* but received 1; hold nothing out, or /,
    );
    const both = await fails({ val: [path("word.txt")], valFraction: 0.1 }, RangeError);
    expect(both).toMatch(/: valFraction: expected 0 or nothing beside val, .* but received 0\.1$/);
    expect(await fails({ val: [path("blank.txt")] }, DataError)).toMatch(/blank\.txt: expected text but received none/);
    expect(existsSync(path("out"))).toBe(false);
  });
});
