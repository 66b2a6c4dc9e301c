/** A dataset prepared in parts is that prepared in one piece, in every byte. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { TokenDataset } from "../../lib/data/dataset.js";
import { identifyData } from "../../lib/data/identity.js";
import { mergeParts, type PrepareOptions, prepareDataset, preparePart } from "../../lib/data/prepare.js";
import { DataError } from "../../lib/errors.js";
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
    const join = (...list: string[]) => mergeParts({ parts: list, out: path("joined") });
    const refused = async (list: string[], says: RegExp): Promise<void> => {
      const error: unknown = await join(...list).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(DataError);
      expect((error as Error).message).toMatch(says);
      expect(readdirSync(path())).not.toContain("joined");
    };
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

  it("that are damaged are refused", async () => {
    const [one, two] = (await parts(2)) as [string, string];
    const join = () => mergeParts({ parts: [one, two], out: path("joined") });
    for (const name of ["part_000000.bin", "part.lengths"]) {
      const good = readFileSync(`${two}/${name}`);
      const bad = Buffer.from(good);
      bad[bad.length - 3]! ^= 1;
      writeFileSync(`${two}/${name}`, bad);
      await expect(join()).rejects.toThrow(new RegExp(`part-2/${name}: expected a file of SHA-256 .* but received `));
      rmSync(`${two}/${name}`);
      await expect(join()).rejects.toThrow(
        new RegExp(`part-2/${name}: expected a file of the part but received a file that `),
      );
      writeFileSync(`${two}/${name}`, good);
    }
    await join();
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
