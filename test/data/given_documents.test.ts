/** `prepareDataset` of documents that a program gives: the same as of files, whatever gives them. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "@jest/globals";
import { Arguments } from "../../lib/arguments.js";
import { TokenDataset } from "../../lib/data/dataset.js";
import { encodeDocuments } from "../../lib/data/encode/encode_documents.js";
import { prepareDataset } from "../../lib/data/prepare.js";
import { type GivenDocuments, GivenTexts } from "../../lib/data/sources/given.js";
import { Tokenizer } from "../../lib/data/tokenizer.js";
import { DataError } from "../../lib/errors.js";
import { madeTokenizer } from "../support/made_tokenizer.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

/** Some come twice, some are empty, some have no text. */
const texts = Array.from({ length: 120 }, (_, i) =>
  i % 17 === 3
    ? ""
    : i % 29 === 5
      ? null
      : `Entry [${i % 50}]: the quick brown fox 😀\nand <|endoftext|> the lazy dog.\n`,
);
const objects = texts.map((text) => ({ text, id: 1 }));

/** The same bytes in every file of two datasets but for the sources' names. */
function expectSame(given: string, files: string): void {
  const names = readdirSync(path(files)).sort();
  expect(readdirSync(path(given)).sort()).toEqual(names);
  for (const name of names.filter((each) => each !== "dataset.json")) {
    expect([name, readFileSync(path(`${given}/${name}`)).equals(readFileSync(path(`${files}/${name}`)))]).toEqual([
      name,
      true,
    ]);
  }
  const [info, other] = [given, files].map((folder) =>
    JSON.parse(readFileSync(path(`${folder}/dataset.json`), "utf8")),
  );
  const { documents } = other.sources[0];
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text ?? ""), 0);
  expect(info).toEqual({ ...other, sources: [{ file: "documents", bytes, documents }] });
}

describe("documents that are given", () => {
  it.each([
    ["an array of texts", () => texts.map((text) => (text === null ? { text } : text))],
    ["an async iterable of objects", () => slowly(objects)],
    ["an iterable", () => new Set(objects).values()],
  ])("as %s, are those of a file", async (_, documents: () => GivenDocuments) => {
    writeFileSync(path("a.jsonl"), objects.map((object) => JSON.stringify(object)).join("\n"));
    writeFileSync(path("tokenizer.json"), madeTokenizer());
    const cases = [{ trainTokenizerVocab: 280 }, { tokenizerPath: path("tokenizer.json"), endOfText: "e" }];
    for (const [index, tokenizer] of cases.entries()) {
      const options = { ...tokenizer, valFraction: 0.1, dedup: index === 0, shardTokens: 900 };
      await prepareDataset({ ...options, files: [path("a.jsonl")], out: path(`files-${index}`) });
      const info = await prepareDataset({ ...options, documents: documents(), out: path(`given-${index}`) });
      expect(info.passedOver).toEqual({ empty: 7, null: 4 });
      expect(info.duplicates > 0).toBe(index === 0);
      expectSame(`given-${index}`, `files-${index}`);
    }
  });

  it.each([
    ["encoded", false],
    ["compared, learned from and encoded", true],
  ])("with prompts, %s, are those of a file with prompts", async (_, dedup) => {
    // The first shard has none, and so no loss mask.
    const prompts = texts.map((text, i) => ({
      text,
      prompt: i < 40 ? null : i % 3 === 0 ? "" : `What of ${i % 50}?\n`,
    }));
    writeFileSync(path("a.jsonl"), prompts.map((object) => JSON.stringify(object)).join("\n"));
    writeFileSync(path("tokenizer.json"), madeTokenizer());
    const tokenizer = dedup ? { trainTokenizerVocab: 280 } : { tokenizerPath: path("tokenizer.json") };
    const options = { ...tokenizer, dedup, valFraction: 0.1, shardTokens: 900 };
    const file = { files: [path("a.jsonl")], promptField: "prompt", textField: "text", out: path("files") };
    const { shards } = await prepareDataset({ ...options, ...file });
    const given = prompts.map(({ text, prompt }) => (prompt === null ? { text } : { text, prompt }));
    const info = await prepareDataset({ ...options, documents: slowly(given), out: path("given") });
    expect(info.shards).toEqual(shards);
    expect([shards.length > 3, shards.map(({ mask }) => mask !== undefined).slice(0, 3)]).toEqual([
      true,
      [false, true, true],
    ]);
    const contents = (folder: string) =>
      readdirSync(path(folder))
        .filter((name) => name !== "dataset.json")
        .map((name) => [name, readFileSync(path(`${folder}/${name}`), "base64")]);
    expect(contents("given")).toEqual(contents("files"));
  });

  it("may be those of validation, beside files or others", async () => {
    writeFileSync(path("train.txt"), "a text, a text");
    writeFileSync(path("val.txt"), "held out");
    const options = { trainTokenizerVocab: 258, dedup: true };
    const files = { files: [path("train.txt")], val: [path("val.txt")] };
    const expected = await prepareDataset({ ...options, ...files, out: path("files") });
    const val = { valDocuments: slowly([{ text: "held out" }]) };
    const one = await prepareDataset({ ...options, files: files.files, ...val, out: path("one") });
    const documents = ["a text, a text", "held out"];
    const valDocuments = new Set(["held out"]);
    const both = await prepareDataset({ ...options, documents, valDocuments, out: path("both") });
    for (const info of [one, both]) expect(info).toMatchObject({ shards: expected.shards, heldOut: "files" });
    expect([one.duplicates, both.duplicates]).toEqual([0, 1]);
    expect(both.sources.map(({ file, split }) => [file, split])).toEqual([
      ["documents", undefined],
      ["valDocuments", "val"],
    ]);
    const [error] = await failure(documents, { valDocuments: [{ text: 3 }] });
    expect(error.message).toBe("prepareDataset: valDocuments[0].text: expected a string but received 3");
    const [beside] = await failure(documents, { valDocuments, valFraction: 0.1 });
    expect(beside.message).toMatch(
      /^prepareDataset: valFraction: expected 0 or nothing beside valDocuments, which holds/,
    );
    const [twice] = await failure(documents, { valDocuments, val: files.val });
    expect(twice.message).toBe("prepareDataset: options: expected val or valDocuments but received both");
    const [empty] = await failure(documents, { valDocuments: [""], trainTokenizerVocab: 258 });
    expect(empty.message).toBe("valDocuments: expected text but received none");
  });

  it("may stand beside files of validation", async () => {
    writeFileSync(path("val.txt"), "held out");
    const options = { val: [path("val.txt")], trainTokenizerVocab: 258, out: path("out") };
    const info = await prepareDataset({ ...options, documents: ["a text, a text"] });
    expect(info).toMatchObject({ documents: { train: 1, val: 1 }, heldOut: "files" });
  });

  it("are taken no faster than they are encoded", async () => {
    let taken = 0;
    const text = "some words of text ".repeat(2000); // 38 kB
    function* given() {
      for (;;) {
        taken++;
        yield text;
      }
    }
    const read = new GivenTexts(new Arguments("test"), "documents", given()).read();
    const whole = { source: 0, file: "documents", split: "train" } as const;
    const sources = (async function* () {
      for await (const piece of read) yield { ...piece, ...whole };
    })();
    for await (const pieces of encodeDocuments(sources, await Tokenizer.fromJson(madeTokenizer()), 1)) {
      expect(pieces.length).toBeGreaterThan(10);
      break;
    }
    expect(taken).toBeLessThan(5 * 14); // of 14 documents a batch
  });
});

/** What is left in the folder, and how the call failed. */
async function failure(documents: GivenDocuments, options: object = {}): Promise<[Error, string[]]> {
  const run = prepareDataset({ documents, out: path("out"), trainTokenizerVocab: 280, ...options });
  const error: unknown = await run.then(
    () => new Error("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  return [error as Error, readdirSync(path())];
}

describe("documents of odd iterables", () => {
  it.each<[string, () => GivenDocuments]>([
    [
      "with an async iterator that is undefined",
      () => Object.assign(new Set(["a", "b"]), { [Symbol.asyncIterator]: undefined }),
    ],
    ["whose next() gives no promise", () => ({ [Symbol.asyncIterator]: () => new Set(["a", "b"]).values() }) as never],
    ["of promises", () => [Promise.resolve("a"), Promise.resolve("b")] as never],
  ])("%s are read as by for await", async (_, documents) => {
    const tokenizer = await Tokenizer.fromJson(madeTokenizer());
    const [odd, plain] = await Promise.all(
      [documents(), ["a", "b"]].map((each) => TokenDataset.from(each, { tokenizer })),
    );
    expect(odd!.memory!.sha256).toBe(plain!.memory!.sha256);
  });

  it("whose next() throws are not told to end", async () => {
    let returned = 0;
    const thrown = new Error("lost");
    const documents = {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          throw thrown;
        },
        return: async () => ({ done: true, value: `${returned++}` }),
      }),
    };
    const [error] = await failure(documents as never);
    expect([error, returned]).toEqual([thrown, 0]);
  });
});

describe("documents that cannot be used", () => {
  it.each([
    [
      "a number",
      ["a", 3],
      TypeError,
      "prepareDataset: documents[1]: expected a text, or an object with a text, but received 3",
    ],
    [
      "an object without a text",
      [{ body: "a" }],
      TypeError,
      "prepareDataset: documents[0].text: expected a string but received undefined",
    ],
    [
      "half of a character",
      ["a", { text: "b" }, "\ud83d"],
      DataError,
      "documents[2]: expected text but received half of a surrogate pair (\\ud83d)",
    ],
    [
      "one that is too long",
      ["a", { text: "b", prompt: "c".repeat(2 ** 28 + 1) }],
      DataError,
      "documents[1]: expected a text of at most 268435456 bytes (256 MiB) but received one of 268435457 bytes that begins at byte 0; split it",
    ],
    [
      "none",
      [],
      DataError,
      "tokenizer: expected text enough for a vocabulary of 280 but received text that gives 0 merges, a vocabulary of 257",
    ],
    [
      "a text in one piece",
      "a text",
      TypeError,
      'prepareDataset: documents: expected an array, an iterable or an async iterable of texts but received the string "a text"',
    ],
  ])("%s", async (_, documents, type, message) => {
    const [error, left] = await failure(documents as GivenDocuments);
    expect(error).toBeInstanceOf(type);
    expect(error.message).toBe(message);
    expect(left).toEqual([]);
  });

  it("none at all, with a tokenizer", async () => {
    writeFileSync(path("tokenizer.json"), madeTokenizer());
    const [error] = await failure(["", { text: null }], {
      trainTokenizerVocab: undefined,
      tokenizerPath: path("tokenizer.json"),
    });
    expect(error).toEqual(new DataError("documents: expected text but received none"));
  });

  it.each(["the tokenizer", "the tokens"])("for they throw, while %s is made: by what they throw", async (which) => {
    writeFileSync(path("tokenizer.json"), madeTokenizer());
    const thrown = new Error("the connection was lost");
    async function* given() {
      for (let i = 0; i < 15; i++) yield "some words of text ".repeat(3000);
      throw thrown;
    }
    const tokenizer =
      which === "the tokenizer" ? {} : { trainTokenizerVocab: undefined, tokenizerPath: path("tokenizer.json") };
    const [error, left] = await failure(given(), tokenizer);
    expect(error).toBe(thrown);
    expect(left).toEqual(["tokenizer.json"]);
  });

  it("beside files, or with a field", async () => {
    const [both] = await failure(["a"], { files: ["a.txt"] });
    expect(both.message).toBe("prepareDataset: options: expected files or documents but received both");
    const [prompt] = await failure([{ text: "a", prompt: 3 as never }]);
    expect(prompt.message).toBe("prepareDataset: documents[0].prompt: expected a string but received 3");
    const [field] = await failure(["a"], { textField: "body" });
    expect(field.message).toMatch(/^prepareDataset: textField: expected none beside documents/);
  });

  it("for they are aborted, even if nothing comes: the iterable is told", async () => {
    const abort = new AbortController();
    const reason = new Error("enough");
    let returned = 0;
    const given: AsyncIterable<string> = {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          abort.abort(reason);
          return new Promise(() => undefined);
        },
        return: async () => ({ done: true, value: `${returned++}` }),
      }),
    };
    const [error, left] = await failure(given, { signal: abort.signal });
    expect(error).toBe(reason);
    expect([returned, left]).toEqual([1, []]);

    // After the last document, and by one who fails because of it.
    const late = new AbortController();
    function* last() {
      yield* ["some words", "and more"];
      late.abort(reason);
    }
    expect((await failure(last(), { signal: late.signal, trainTokenizerVocab: 258 }))[0]).toBe(reason);
    const failed = new AbortController();
    function* failing() {
      yield "some words";
      failed.abort(reason);
      throw new Error("of another kind");
    }
    const tokenizer = await Tokenizer.fromJson(madeTokenizer());
    await expect(TokenDataset.from(failing(), { tokenizer, signal: failed.signal })).rejects.toBe(reason);
    // By a timer, which gets its turn even if all documents are passed over.
    const timed = new AbortController();
    setTimeout(10).then(() => timed.abort(reason));
    const nothing = (function* () {
      for (;;) yield "";
    })();
    expect((await failure(nothing, { signal: timed.signal }))[0]).toBe(reason);

    const later = new AbortController();
    const endless = (async function* () {
      try {
        for (let i = 0; ; i++) {
          if (i === 20) later.abort(reason);
          yield `text ${i}`;
        }
      } finally {
        returned++;
      }
    })();
    expect((await failure(endless, { signal: later.signal }))[0]).toBe(reason);
    await setTimeout(1);
    expect([returned, existsSync(path("out"))]).toEqual([2, false]);
  });
});

async function* slowly<T>(items: readonly T[]): AsyncGenerator<T> {
  for (const [index, item] of items.entries()) {
    if (index % 40 === 7) await setTimeout(1);
    yield item;
  }
}
