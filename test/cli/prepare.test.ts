import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { Command, CommanderError } from "commander";
import type { CliIo } from "../../lib/cli/io.js";
import { registerPrepare } from "../../lib/cli/prepare.js";
import { ConfigError } from "../../lib/errors.js";
import { builtCommand } from "../support/built.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nextpatch-test-"));
  const lines = Array.from({ length: 50 }, (_, i) => JSON.stringify({ text: `Document ${i} of a small corpus.` }));
  writeFileSync(join(folder, "a.jsonl"), lines.join("\n"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `prepare` with `args`; `%` stands for the test's folder. */
async function run(...args: string[]): Promise<{ result: unknown[]; logs: string[]; bars: string[]; open: number }> {
  const seen = { result: [] as unknown[], logs: [] as string[], bars: [] as string[], open: 0 };
  const io: CliIo = {
    json: true,
    stream: null,
    log: (message) => void seen.logs.push(message),
    result: (human, json) => void seen.result.push(human, json),
    progress: (label) => {
      seen.bars.push(label);
      seen.open++;
      return { update: () => undefined, stop: () => void seen.open-- };
    },
  };
  const program = new Command("nextpatch").exitOverride().configureOutput({ writeErr: () => undefined });
  registerPrepare(program, io);
  await program.parseAsync(["node", "nextpatch", "prepare", ...args.map((arg) => arg.replace("%", folder))]);
  return seen;
}

describe("nextpatch prepare", () => {
  it("makes a dataset and tells what is in it", async () => {
    const seen = await run("%/a.jsonl", "--out", "%/out", "--train-tokenizer", "270", "--val-fraction", "0.1");
    const info = JSON.parse(readFileSync(join(folder, "out/dataset.json"), "utf8")) as Record<string, unknown>;
    expect(info).toMatchObject({ vocabSize: 270, valFraction: 0.1, documents: { train: 45, val: 5 } });
    expect(seen.result[1]).toEqual({ out: join(folder, "out"), ...info, seconds: expect.any(Number) });
    expect(seen.result[0]).toMatch(/training tokens from 45 documents, vocabulary 270\n.* tokens, 5 documents\n/);
    expect(seen.bars).toEqual(["training the tokenizer", "encoding"]);
    expect(seen.open).toBe(0);
    expect(process.listenerCount("SIGINT")).toBe(0);
    const again = await run("%/a.jsonl", "--out", "%/two", "--tokenizer", "%/out/tokenizer.json");
    expect(again.result[1]).toMatchObject({ vocabSize: 270, tokenizerSha256: info.tokenizerSha256 });
  });

  it("prepares a dataset in parts, and joins them", async () => {
    writeFileSync(join(folder, "b.jsonl"), '{"text": "The first of the second file."}\n{"text": "And the last."}');
    await run("%/a.jsonl", "--out", "%/t", "--train-tokenizer", "270");
    const common = ["%/a.jsonl", "%/b.jsonl", "--tokenizer", "%/t", "--val-fraction", "0.1"];
    await run(...common, "--out", "%/whole");
    const part = await run(...common, "--out", "%/one", "--part", "1/2");
    expect(part.result[0]).toMatch(/one: part 1 of 2: \d+ tokens from 50 documents in 1 file; join all parts with/);
    expect(part.result[1]).toMatchObject({ part: { index: 1, of: 2 }, documents: 50 });
    await run(...common, "--out", "%/two", "--part", "2/2");
    const joined = await run("--merge", "%/two", "%/one", "--out", "%/joined");
    expect(joined.result[0]).toMatch(/joined: \d+ training tokens from 46 documents, vocabulary 270\n.* 6 documents\n/);
    const names = readdirSync(join(folder, "whole"));
    expect(readdirSync(join(folder, "joined"))).toEqual(names);
    for (const name of names) {
      const [whole, copy] = ["whole", "joined"].map((set) => readFileSync(join(folder, set, name)));
      expect(copy!.equals(whole!)).toBe(true);
    }
  });

  it.each<[string[], RegExp]>([
    [["--part", "1/2"], /^--part: expected --tokenizer beside it, .* train one first: prepare --train-tokenizer/],
    [["--part", "1/2", "--train-tokenizer", "300"], /^--part: expected --tokenizer beside it/],
    [["--part", "1/2", "--tokenizer", "t.json", "--dedup"], /^--dedup: expected false, as a part does not know/],
    [["--merge", "p"], /^--merge: expected --out alone beside it, .* but received files$/],
  ])("refuses %j beside files", async (flags, says) => {
    const error: unknown = await run("%/a.jsonl", "--out", "%/out", ...flags).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(says);
  });

  it.each([
    ["--val-fraction", "0.1"],
    ["--text-field", "body"],
    ["--tokenizer", "t.json"],
    ["--part", "1/2"],
    ["--dedup"],
  ])("refuses %s beside --merge", async (...flags) => {
    await expect(run("--out", "%/out", ...flags, "--merge", "%/p")).rejects.toThrow(
      `--merge: expected --out alone beside it, as the parts say the rest, but received ${flags[0]}`,
    );
  });

  it("refuses a part that there is not, and nothing to prepare", async () => {
    for (const part of ["3/2", "0/2", "1", "1/0", "01/2", "1/2/3"]) {
      await expect(run("%/a.jsonl", "--out", "%/out", "--tokenizer", "t", "--part", part)).rejects.toThrow(
        /expected I\/N, such as 1\/4, with I from 1 to N but received/,
      );
    }
    await expect(run("--out", "%/out")).rejects.toThrow(
      "files: expected files to prepare, or parts to --merge, but received none",
    );
  });

  it("trains the tokenizer that is asked for", async () => {
    const special = ["--special", "<|a|>", "--special", "<|b|>"];
    const json = (): Record<string, unknown> =>
      JSON.parse(readFileSync(join(folder, "out/tokenizer.json"), "utf8")) as Record<string, unknown>;
    const contents = (): unknown => (json().added_tokens as { content: string }[]).map(({ content }) => content);
    await run("%/a.jsonl", "--out", "%/out", "--train-tokenizer", "270", "--split-digits", ...special);
    expect(contents()).toEqual(["<|endoftext|>", "<|a|>", "<|b|>"]);
    expect(json().pre_tokenizer).toMatchObject({ pretokenizers: [{ type: "Digits" }, { type: "ByteLevel" }] });
    const seen = await run("%/a.jsonl", "--out", "%/out", "--train-tokenizer", "300", "--byte-fallback", ...special);
    expect(contents()).toEqual(["<unk>", "<s>", "</s>", "<|a|>", "<|b|>"]);
    expect(json().model).toMatchObject({ byte_fallback: true });
    expect(seen.result[1]).toMatchObject({ vocabSize: 300, endOfTextId: 2 });
  });

  it("trains a tokenizer of 4096 and says so if none is named", async () => {
    const text = Array.from({ length: 9000 }, (_, i) => `w${(i * 7919).toString(36)}x${i.toString(36)}`).join(" ");
    writeFileSync(join(folder, "b.txt"), text);
    const seen = await run("%/b.txt", "--out", "%/out");
    expect(seen.logs.join()).toMatch(/no tokenizer named: training one of 4096 tokens/);
    expect(seen.result[1]).toMatchObject({ vocabSize: 4096, heldOut: "tail" });
  });

  it("refuses wrong usage and leaves nothing", async () => {
    const out = ["--out", "%/out"];
    await expect(run("%/a.jsonl", ...out, "--tokenizer", "x", "--train-tokenizer", "270")).rejects.toThrow(ConfigError);
    await expect(run("%/a.jsonl", ...out, "--train-tokenizer", "9")).rejects.toThrow(
      /^--train-tokenizer: .* 257 to 262144 but received 9$/,
    );
    await expect(run("%/a.jsonl", ...out, "--special", "a", "--special", "a")).rejects.toThrow(
      /^--special: expected a token that is not blank and not in the vocabulary already but received "a"$/,
    );
    for (const flag of [["--special", "a"], ["--split-digits"], ["--byte-fallback"]]) {
      const both = run("%/a.jsonl", ...out, "--tokenizer", "x", ...flag);
      await expect(both).rejects.toThrow(`--tokenizer, ${flag[0]}: expected at most one of the two but received both`);
    }
    await expect(run("%/a.jsonl", ...out, "--val-fraction", "1.5")).rejects.toThrow(
      /^--val-fraction: expected a number .* but received 1\.5$/,
    );
    await expect(run("%/a.jsonl", ...out, "--val-fraction", "a")).rejects.toThrow(/expected a number but received "a"/);
    await expect(run("%/a.jsonl")).rejects.toThrow(CommanderError);
    await expect(run(...out)).rejects.toThrow(/files: expected files to prepare/);
    expect(existsSync(join(folder, "out"))).toBe(false);
    expect(process.listenerCount("SIGINT")).toBe(0);
  });

  it("reads folders and another field, and says what it passed over", async () => {
    mkdirSync(join(folder, "set"));
    const lines = Array.from({ length: 20 }, (_, i) => JSON.stringify({ a: { b: `Text ${i}.` }, content: "other" }));
    writeFileSync(join(folder, "set/a.jsonl"), `${lines.join("\n")}\n{"a":null,"x":NaN}\n{"a":{"b":""}}\n`);
    writeFileSync(join(folder, "set/note.py"), "pass");
    const flags = ["--out", "%/out", "--train-tokenizer", "260"];
    const seen = await run("%/set", ...flags, "--text-field", "a.b");
    expect(seen.logs.join("\n")).toMatch(/set: reading 1 \.jsonl; passing over 1 \(.*note\.py\)/);
    expect(seen.result[0]).toMatch(/records passed over: 1 with a null text, 1 with an empty one/);
    expect(seen.result[1]).toMatchObject({ passedOver: { null: 1, empty: 1 } });
    writeFileSync(join(folder, "b.jsonl"), lines.join("\n"));
    const named = await run("%/b.jsonl", ...flags);
    expect(named.logs.filter((line) => line.includes('no field "text": reading "content"'))).toHaveLength(1);
  });

  it("reads a pipe once, also where a tokenizer is trained on it", async () => {
    const flags = ["--train-tokenizer", "260"];
    execFileSync("mkfifo", [join(folder, "pipe")]);
    spawn("bash", ["-c", 'cat "$0" > "$1"', join(folder, "a.jsonl"), join(folder, "pipe")], { stdio: "ignore" });
    await run("%/pipe", "--out", "%/piped", ...flags);
    await run("%/a.jsonl", "--out", "%/filed", ...flags);
    for (const name of ["train_000000.bin", "val_000000.bin", "tokenizer.json"]) {
      expect(readFileSync(join(folder, "piped", name))).toEqual(readFileSync(join(folder, "filed", name)));
    }
    expect(readdirSync(join(folder, "piped"))).toEqual(readdirSync(join(folder, "filed")));
  });
});

describe("a prepare that is ended", () => {
  const nextpatch = builtCommand();

  /** A corpus that takes half a second or so. */
  function corpus(): string {
    const line = (i: number): string => `Entry ${i}: the quick brown fox ${i * 7919}, and the lazy dog ${i % 97}.`;
    const lines = Array.from({ length: 20_000 }, (_, i) => JSON.stringify({ text: line(i) }));
    writeFileSync(join(folder, "large.jsonl"), lines.join("\n"));
    return join(folder, "large.jsonl");
  }
  const args = (): string[] => {
    return ["prepare", join(folder, "large.jsonl"), "--out", join(folder, "out"), "--train-tokenizer", "400"];
  };
  const contents = (): Map<string, string> =>
    new Map(readdirSync(join(folder, "out")).map((name) => [name, readFileSync(join(folder, "out", name), "base64")]));

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("by %s leaves nothing behind", async (signal) => {
    corpus();
    const before = readdirSync(folder);
    const { process: child, finished } = nextpatch.start(...args());
    while (readdirSync(folder).length === before.length) await setTimeout(10);
    child.kill(signal);
    const { code, stderr } = await finished;
    expect(stderr).toMatch(/^nextpatch: interrupted: nothing was written$/m);
    expect(code).toBe(1);
    expect(readdirSync(folder)).toEqual(before);
  });

  it("while it waits for standard input leaves nothing behind", async () => {
    const { process: child, finished } = nextpatch.start("prepare", "-", "--out", join(folder, "out"));
    while (!existsSync(join(folder, ".out.part"))) await setTimeout(10);
    child.kill("SIGTERM");
    expect((await finished).stderr).toMatch(/^nextpatch: interrupted: nothing was written$/m);
    expect(readdirSync(folder)).toEqual(["a.jsonl"]);
  });

  it("by SIGKILL, again and again, is done by the next, in the same bytes", async () => {
    corpus();
    expect((await nextpatch(...args())).code).toBe(0);
    const whole = contents();
    for (const existing of [false, true]) {
      rmSync(join(folder, "out"), { recursive: true });
      if (existing) mkdirSync(join(folder, "out"));
      for (const share of [0.3, 0.6, 0.9]) {
        const { process: child, finished } = nextpatch.start(...args());
        await setTimeout(900 * share * Math.random());
        child.kill("SIGKILL");
        await finished;
      }
      expect((await nextpatch(...args())).code).toBe(0);
      expect(contents()).toEqual(whole);
      expect(readdirSync(folder).sort()).toEqual(["a.jsonl", "large.jsonl", "out"]);
    }
  });
});

describe("nextpatch info --data", () => {
  const nextpatch = builtCommand();

  it("shows what prepare wrote", async () => {
    const prepare = ["prepare", join(folder, "a.jsonl"), "--out", join(folder, "d"), "--train-tokenizer", "270"];
    expect((await nextpatch(...prepare)).code).toBe(0);
    const { code, stdout } = await nextpatch("info", "--data", join(folder, "d"));
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^ {2}train: [\d,]+ tokens in 1 shard, 49 documents, \d+\.\d tokens a document, \d\.\d\d bytes a token$/m,
    );
    expect(stdout).toMatch(/^ {2}val: \d+ tokens in 1 shard, 1 document, /m);
    expect(stdout).toMatch(/^ {2}tokenizer: BPE, 270 tokens, end of text <\|endoftext\|>, SHA-256 [0-9a-f]{12}…$/m);
    expect(stdout).toMatch(/^ {2}"<\|endoftext\|>Document 0 of a small corpus\."$/m);
    expect(stdout).toMatch(/^ {2}"<\|endoftext\|>Document 1 of a small corpus\."$/m);
    const { data } = JSON.parse((await nextpatch("info", "--data", join(folder, "d"), "--json")).stdout) as {
      data: Record<string, unknown>;
    };
    const info = JSON.parse(readFileSync(join(folder, "d/dataset.json"), "utf8")) as object;
    expect(data).toMatchObject({ prepared: true, dtype: "uint16", splits: { train: { documents: 49 } }, info });
  });

  it("shows as much as is there, and names what is not data", async () => {
    const prepare = ["prepare", join(folder, "a.jsonl"), "--out", join(folder, "d"), "--train-tokenizer", "270"];
    await nextpatch(...prepare);
    rmSync(join(folder, "d/dataset.json"));
    const bare = await nextpatch("info", "--data", join(folder, "d"));
    expect(bare.stdout).toMatch(/d: uint16 tokens, without a dataset\.json\n {2}train: [\d,]+ tokens in 1 shard\n/);
    rmSync(join(folder, "d/tokenizer.json"));
    const shard = await nextpatch("info", "--data", join(folder, "d/val_*.bin"));
    expect(shard.stdout).toMatch(/\n {2}shards: \d+ tokens in 1 shard\n {2}tokenizer: unknown\n/);
    mkdirSync(join(folder, "d/.prepare"));
    const interrupted = await nextpatch("info", "--data", join(folder, "d"));
    expect(interrupted).toMatchObject({ code: 1, stdout: "" });
    expect(interrupted.stderr).toMatch(
      /^nextpatch: .*d: expected token shards but received those of a prepare that was /,
    );
    mkdirSync(join(folder, "empty"));
    const empty = await nextpatch("info", "--data", join(folder, "empty"));
    expect(empty.stderr).toMatch(/^nextpatch: .*empty: expected token shards \(NAME_000000\.bin\) but received none$/m);
  });
});
