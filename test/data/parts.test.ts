/** A dataset prepared in parts is that prepared in one piece, in every byte. */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { TokenDataset } from "../../lib/data/dataset.js";
import { identifyData } from "../../lib/data/identity.js";
import { ownSources } from "../../lib/data/prepare/own_sources.js";
import { type PartInfo, withHash } from "../../lib/data/prepare/part_info.js";
import { mergeParts, type PrepareOptions, prepareDataset, preparePart } from "../../lib/data/prepare.js";
import { ConfigError, DataError } from "../../lib/errors.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

const names = ["a.jsonl", "b.txt", "c.jsonl", "empty.jsonl", "d.jsonl"];
const valNames = ["v.jsonl", "w.txt"];

beforeEach(async () => {
  const lines = (count: number, what: string): string =>
    Array.from({ length: count }, (_, i) => JSON.stringify({ text: i % 7 === 3 ? null : `${what} ${i}: a fox.` })).join(
      "\n",
    );
  writeFileSync(path("a.jsonl"), lines(90, "First"));
  writeFileSync(path("b.txt"), "One document, all in one file. ".repeat(300));
  writeFileSync(path("c.jsonl"), lines(5, "Third"));
  writeFileSync(path("empty.jsonl"), '{"text": ""}\n');
  writeFileSync(path("d.jsonl"), lines(60, "Last"));
  writeFileSync(path("v.jsonl"), lines(8, "Held"));
  writeFileSync(path("w.txt"), "A file for validation.");
  await prepareDataset({ files: [path("a.jsonl")], out: path("t"), trainTokenizerVocab: 290 });
});

const options = (changes: Partial<PrepareOptions> = {}): PrepareOptions => ({
  files: names.map(path),
  tokenizerPath: path("t"),
  out: path("whole"),
  ...changes,
});

const contents = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(path(folder)).map((name) => [name, readFileSync(path(`${folder}/${name}`), "base64")]),
  );

async function parts(of: number, changes: Partial<PrepareOptions> = {}): Promise<string[]> {
  const folders: string[] = [];
  for (let index = 1; index <= of; index++) {
    const out = path(`part-${index}`);
    await preparePart(options({ ...changes, out }), { index, of });
    folders.push(out);
  }
  return folders;
}

/** Expects that parts are not joined, and that nothing is left of the attempt. */
async function refused(list: string[], says: RegExp): Promise<void> {
  const error: unknown = await mergeParts({ parts: list, out: path("joined") }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(DataError);
  expect((error as Error).message).toMatch(says);
  expect(readdirSync(path()).filter((name) => name.includes("joined"))).toEqual([]);
}

describe("parts of a dataset", () => {
  it.each<[string, number, Partial<PrepareOptions>]>([
    ["by a share", 2, { valFraction: 0.1 }],
    ["in small shards", 3, { valFraction: 0.1, shardTokens: 700 }],
    ["one for each file", 5, {}],
    ["of which the last document is held out", 2, { valFraction: 1e-9, shardTokens: 1000 }],
    ["with nothing held out", 3, { valFraction: 0 }],
    ["with validation files", 4, { val: valNames.map((name) => name) }],
    ["all in one", 1, { valFraction: 0.2 }],
  ])("%s, are joined to the same bytes", async (_, of, changes) => {
    const given = { ...changes, ...(changes.val && { val: changes.val.map((name) => path(name)) }) };
    const whole = await prepareDataset(options(given));
    const folders = await parts(of, given);
    expect(await mergeParts({ parts: [...folders].reverse(), out: path("joined") })).toEqual(whole);
    expect(contents("joined")).toEqual(contents("whole"));
    expect(readdirSync(path("part-1")).filter((name) => !name.endsWith(".bin"))).toEqual([
      "dataset.json",
      "part.lengths",
      "tokenizer.json",
    ]);
  });

  it("with a document of several pieces are joined to the same bytes", async () => {
    writeFileSync(path("b.txt"), "One long document, all in one file. ".repeat(40_000));
    await prepareDataset(options({ shardTokens: 100_000 }));
    await mergeParts({ parts: await parts(3, { shardTokens: 100_000 }), out: path("joined") });
    expect(contents("joined")).toEqual(contents("whole"));
  });

  it("hold the end of a single document out", async () => {
    const files = [path("b.txt"), path("empty.jsonl")];
    const whole = await prepareDataset(options({ files, valFraction: 0.25 }));
    expect(whole.heldOut).toBe("tail");
    await mergeParts({ parts: await parts(2, { files, valFraction: 0.25 }), out: path("joined") });
    expect(contents("joined")).toEqual(contents("whole"));
  });

  it("that do not belong together are refused", async () => {
    const [one, two] = (await parts(2, { valFraction: 0.1 })) as [string, string];
    await refused([one], /expected each of 2 parts once but received part 2 never$/);
    await refused([one, two, two], /expected each of 2 parts once but received part 2 2 times$/);
    await refused([one, path("t")], /t\/dataset\.json: expected a part of a dataset .* but received a whole one$/);
    await refused(
      [one, path("none")],
      /none\/dataset\.json: expected a part of a dataset but received a file that does not exist$/,
    );
    const again = (changes: Partial<PrepareOptions>) =>
      preparePart(options({ valFraction: 0.1, ...changes, out: two }), { index: 2, of: 2 });
    await again({ valFraction: 0.2 });
    await refused([one, two], /part-2: valFraction: expected that of .*part-1, 0\.1, but received 0\.2$/);
    await prepareDataset({ files: [path("d.jsonl")], out: path("other"), trainTokenizerVocab: 290 });
    await again({ tokenizerPath: path("other") });
    await refused([one, two], /part-2: tokenizerSha256: expected that of .*part-1/);
    writeFileSync(path("d.jsonl"), '{"text": "changed"}');
    await again({});
    await refused([one, two], /part-2: sources\[4\]: expected that of .*part-1, .*d\.jsonl of \d+ bytes/);
  });

  it("that leave files out are refused", async () => {
    const [one, two] = (await parts(2)) as [string, string];
    const { sha256: _, ...info } = JSON.parse(readFileSync(`${two}/dataset.json`, "utf8")) as PartInfo;
    const [begin, end] = info.own;
    writeFileSync(`${two}/dataset.json`, JSON.stringify(withHash({ ...info, own: [begin + 1, end] })));
    await refused(
      [one, two],
      new RegExp(
        `part-2: expected files from sources\\[${begin}\\] on, .* received those from sources\\[${begin + 1}\\]`,
      ),
    );
  });

  it("that are damaged are refused", async () => {
    const [one, two] = (await parts(2, { shardTokens: 1500 })) as [string, string];
    const shards = readdirSync(two).filter((name) => name.endsWith(".bin"));
    expect(shards.length).toBeGreaterThan(1);
    for (const name of [...shards, "part.lengths", "tokenizer.json"]) {
      const good = readFileSync(`${two}/${name}`);
      const bad = Buffer.from(good);
      bad[bad.length - 3]! ^= 1;
      writeFileSync(`${two}/${name}`, bad);
      await refused(
        [one, two],
        new RegExp(`part-2/${name}: expected a file of SHA-256 .* says, but received [0-9a-f]`),
      );
      for (const size of [good.length - 1, good.length + 1]) {
        writeFileSync(`${two}/${name}`, Buffer.concat([good, Buffer.alloc(1)]).subarray(0, size));
        await refused([one, two], new RegExp(`part-2/${name}: expected a file of (SHA-256|\\d+ bytes)`));
      }
      rmSync(`${two}/${name}`);
      await refused([one, two], new RegExp(`part-2/${name}: expected a file of the part but received a file that `));
      writeFileSync(`${two}/${name}`, good);
    }
    await mergeParts({ parts: [one, two], out: path("joined") });
  });

  it("whose dataset.json is damaged are refused", async () => {
    const [one, two] = (await parts(2)) as [string, string];
    const good = readFileSync(`${two}/dataset.json`, "utf8");
    for (let at = 0; at < good.length; at += 5) {
      if (/\s/.test(good[at]!)) continue;
      const other = /\d/.test(good[at]!) ? (Number(good[at]) + 1) % 10 : good[at] === "x" ? "y" : "x";
      writeFileSync(`${two}/dataset.json`, `${good.slice(0, at)}${other}${good.slice(at + 1)}`);
      await refused([one, two], /part-2\/dataset\.json: expected /);
    }
  });

  it("with other files beside the tokenizer are refused", async () => {
    const config = path("t/tokenizer_config.json");
    writeFileSync(config, '{"model_max_length": 1}');
    await parts(2);
    writeFileSync(config, '{"model_max_length": 2}');
    await preparePart(options({ out: path("part-2") }), { index: 2, of: 2 });
    const both = [path("part-1"), path("part-2")];
    await refused(both, /part-2\/tokenizer_config\.json: expected the same file as in .*part-1 but received another$/);
    rmSync(path("part-2/tokenizer_config.json"));
    await refused(both, /part-2\/tokenizer_config\.json: expected the same file as in .*part-1 but received none$/);
    rmSync(path("part-1/tokenizer_config.json"));
    writeFileSync(path("part-2/tokenizer_config.json"), "{}");
    await refused(both, /part-2\/tokenizer_config\.json: expected no such file as in .*part-1 but received another$/);
  });

  it("are not replaced by what they are joined to", async () => {
    const folders = await parts(2);
    const before = contents("part-2");
    const error: unknown = await mergeParts({ parts: folders, out: path("part-2") }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(/part-2: expected a folder for the dataset but received that of a part$/);
    expect(contents("part-2")).toEqual(before);
  });

  it("are read once, with a progress that ends at all bytes", async () => {
    const folders = await parts(2);
    const seen: { bytes: number; totalBytes: number; documents: number }[] = [];
    const { documents } = await mergeParts({
      parts: folders,
      out: path("joined"),
      onProgress: (progress) => void seen.push(progress),
    });
    const sizes = folders.map((folder) => statSync(`${folder}/part_000000.bin`).size);
    expect(seen.map(({ bytes }) => bytes)).toEqual([sizes[0], sizes[0]! + sizes[1]!, sizes[0]! + sizes[1]!]);
    expect(seen.at(-1)).toMatchObject({ totalBytes: seen.at(-1)!.bytes, documents: documents.train + documents.val });
  });

  it("leave nothing when they are no longer joined", async () => {
    const folders = await parts(2);
    const abort = new AbortController();
    const reason = new Error("enough");
    const joining = mergeParts({
      parts: folders,
      out: path("joined"),
      onProgress: () => abort.abort(reason),
      signal: abort.signal,
    });
    await expect(joining).rejects.toBe(reason);
    expect(readdirSync(path()).filter((name) => name.includes("joined"))).toEqual([]);
  });

  it.each([
    { sizes: [10, 10, 10, 10], of: 2, starts: [0, 2] },
    { sizes: [30, 19, 41, 10], of: 2, starts: [0, 2] },
    { sizes: [1, 1, 1, 97], of: 3, starts: [0, 2, 3] },
    { sizes: [97, 1, 1, 1], of: 3, starts: [0, 1, 2] },
    { sizes: [0, 0, 0], of: 3, starts: [0, 1, 2] },
    { sizes: [5, 5, 5, 5, 5, 5, 5, 5, 5, 5], of: 3, starts: [0, 3, 7] },
  ])("take files of $sizes bytes in $of about equal shares", ({ sizes, of, starts }) => {
    const sources = sizes.map((bytes, i) => ({ file: `${i}.txt`, bytes, isFile: true }));
    const runs = starts.map((_, i) => ownSources(sources, { index: i + 1, of }));
    expect(runs).toEqual(starts.map((start, i) => [start, starts[i + 1] ?? sizes.length]));
  });

  it("are not taken for a dataset", async () => {
    const [one] = await parts(1);
    await using dataset = await TokenDataset.open(`${one}/part_*.bin`);
    await expect(identifyData([dataset], () => undefined)).rejects.toThrow(
      /part-1\/dataset\.json: expected a whole dataset but received a part of one; join the parts: prepare --merge$/,
    );
  });

  it("need a tokenizer, files enough, and no comparison", async () => {
    const part = (changes: Partial<PrepareOptions>, of = 2) => preparePart(options(changes), { index: 1, of });
    await expect(part({ tokenizerPath: undefined, trainTokenizerVocab: 300 })).rejects.toThrow(
      /^preparePart: options: expected a tokenizerPath, as all parts need the same tokenizer, but received one to train$/,
    );
    await expect(part({ dedup: true })).rejects.toThrow(/^preparePart: dedup: expected false/);
    await expect(part({}, 6)).rejects.toThrow(/^expected at least 6 source files, one for each part, but received 5$/);
    await expect(part({ files: ["-"] }, 1)).rejects.toThrow(
      /^-: expected files, as each part reads its own, but received a pipe$/,
    );
    await expect(preparePart(options(), { index: 3, of: 2 })).rejects.toThrow(
      /^preparePart: part\.index: expected .* 3$/,
    );
  });
});
