import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "@jest/globals";
import { findSources, keepSource, type ReadOptions, readDocuments } from "../../../lib/data/sources.js";
import { temporaryFolder } from "../../support/temporary.js";
import { fixture, read, TEXTS } from "./reading.js";

const path = temporaryFolder();

async function found(...names: string[]) {
  const { sources, notes } = await findSources(names.map(path));
  return { files: sources.map(({ file }) => file.slice(path("").length + 1)), notes };
}

function put(...names: string[]): void {
  for (const name of names) {
    mkdirSync(path(name.replace(/[^/]*$/, "")), { recursive: true });
    writeFileSync(path(name), `text of ${name}`);
  }
}

const POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${"4d".repeat(32)}\nsize 12345\n`;

describe("findSources", () => {
  it("takes files as they are named, whatever is in their names", async () => {
    put("b.txt", "a.jsonl.gz", "[1] {x}*.md", "LICENSE");
    expect((await found("b.txt", "a.jsonl.gz", "[1] {x}*.md", "LICENSE")).files).toEqual([
      "b.txt",
      "a.jsonl.gz",
      "[1] {x}*.md",
      "LICENSE",
    ]);
    await expect(found("none.txt")).rejects.toThrow(
      /none\.txt: expected text but received a file that does not exist$/,
    );
    put("c.pdf");
    await expect(found("c.pdf")).rejects.toThrow(/c\.pdf: expected a name that ends in \.txt, .* but received \.pdf$/);
  });

  it("takes the files below a folder by path, those that it knows, and says so", async () => {
    put("set/b.txt", "set/a/z.jsonl.zst", "set/a-1.txt", "set/a/Makefile", "set/x.py", "set/.git/a.txt", "set/.b.txt");
    put("set/dataset_info.json", "set/old/dataset.json", "set/old/train_000000.bin", "set/old/tokenizer.json");
    symlinkSync(path("set"), path("set/a/loop"));
    put("elsewhere/linked.md");
    symlinkSync(path("elsewhere/linked.md"), path("set/linked.md"));
    const { files, notes } = await found("set");
    expect(files).toEqual(["set/a-1.txt", "set/a/z.jsonl.zst", "set/b.txt", "set/linked.md"]);
    expect(notes).toHaveLength(1);
    expect(notes[0]).toMatch(/set: reading 2 \.txt, 1 \.jsonl\.zst, 1 \.md; passing over 4 \(.*, …\)$/);
    mkdirSync(path("bare"));
    await expect(found("bare")).rejects.toThrow(/bare: expected files with names that end in .* but received none$/);
    symlinkSync(path("nowhere"), path("bare/a.txt"));
    await expect(found("bare")).rejects.toThrow(
      /bare\/a\.txt: expected a file but received a link to a file that does/,
    );
  });

  it("takes patterns", async () => {
    put("p/b.jsonl", "p/q/a.jsonl", "p/q/a.txt", "p/c.py");
    expect((await found("p/**/*.jsonl")).files).toEqual(["p/b.jsonl", "p/q/a.jsonl"]);
    expect((await found("p/q/*.{jsonl,txt}")).files).toEqual(["p/q/a.jsonl", "p/q/a.txt"]);
    expect((await found("p/*")).notes[0]).toMatch(/reading 1 \.jsonl; passing over 1 \(.*c\.py\)$/);
    await expect(found("p/*.md")).rejects.toThrow(/p\/\*\.md: expected a pattern that files match but received one of/);
  });

  it("refuses a file that comes twice, and says which are the same", async () => {
    put("t/a.txt");
    await expect(found("t/a.txt", "t/../t/a.txt")).rejects.toThrow(/expected each file once but received it twice/);
    await expect(found("t", "t/a.txt")).rejects.toThrow(/expected each file once but received it twice/);
    symlinkSync(path("t/a.txt"), path("t/b.txt"));
    expect((await found("t")).notes[1]).toMatch(/t\/b\.txt: the same file as .*t\/a\.txt, read once more$/);
  });

  it("refuses pointers of Git LFS before anything is read", async () => {
    for (const name of ["l.parquet", "l.jsonl.zst", "l.txt", "l.arrow", "l.csv"]) {
      writeFileSync(path(name), POINTER);
      const message = /l\.\S+: expected .* but received a Git LFS pointer to it; fetch the data with: git lfs pull$/;
      await expect(found(name)).rejects.toThrow(message);
      await expect(read(path(name))).rejects.toThrow(message);
    }
  });

  it("opens one file at a time", async () => {
    mkdirSync(path("many"));
    for (let i = 0; i < 1100; i++) writeFileSync(path(`many/${i}.txt`), `${i}`);
    const code = `
      import { findSources, readDocuments } from "./lib/data/sources.ts";
      const { sources } = await findSources([process.argv[2]]);
      let count = 0;
      for (const { file } of sources) for await (const _ of readDocuments(file)) count++;
      console.log(count);`;
    writeFileSync(path("many.mts"), code.replaceAll("./lib/", `${process.cwd()}/lib/`));
    const command = `ulimit -n 128; exec node --import tsx "$0" "$1"`;
    const out = execFileSync("bash", ["-c", command, path("many.mts"), path("many")], { encoding: "utf8" });
    expect(out.trim()).toBe("1100");
  });
});

describe("pipes", () => {
  async function piped(name: string, content: string | Uint8Array, options: ReadOptions = {}) {
    execFileSync("mkfifo", [path(name)]);
    const writer = spawn("bash", ["-c", `cat > "$0"`, path(name)], { stdio: ["pipe", "ignore", "inherit"] });
    writer.stdin.end(content);
    return read(path(name), options);
  }

  it("are what their data begins like", async () => {
    const cases: [string | Buffer, string[], RegExp][] = [
      ['{"text":"a","x":NaN}\n{"text":"b"}\n', ["a", "b"], /reading it as JSONL$/],
      [gzipSync('{"text":"a"}\n'), ["a"], /reading it as JSONL, gzip data$/],
      ['[ {"text":"a"}, "b" ]', ["a", "b"], /reading it as JSON$/],
      ["{ braces } of a text\n", ["{ braces } of a text\n"], /reading it as text$/],
      ["", [], /reading it as text$/],
    ];
    for (const [i, [content, texts, note]] of cases.entries()) {
      const reading = await piped(`pipe${i}`, content);
      expect(reading.texts).toEqual(texts);
      expect(reading.notes[0]).toMatch(note);
    }
    expect((await piped("arrow", readFileSync(fixture("plain_stream.arrow")))).texts).toEqual(TEXTS);
    expect((await piped("parquet", readFileSync(fixture("v2.parquet")))).texts).toEqual(TEXTS);
    expect((await piped("parquet.gz", gzipSync(readFileSync(fixture("snappy.parquet"))))).texts).toEqual(TEXTS);
  });

  it.each([
    ["v2.parquet", "pipe"],
    ["plain_file.arrow", "pipe"],
    ["plain_stream.arrow", "named.arrow"],
  ])("with prompts are read as files are: %s", async (name, pipe) => {
    const options: ReadOptions = { promptField: "meta.body", textField: "text" };
    const { texts } = await read(fixture(name), options);
    const piping = await piped(pipe, readFileSync(fixture(name)), options);
    expect(piping.texts).toEqual(texts);
    expect(piping.bytes).toBe(readFileSync(fixture(name)).length);
  });

  it("are what their name says, if it does", async () => {
    expect((await piped("named.txt", '{"text":"a"}')).texts).toEqual(['{"text":"a"}']);
  });

  it("are kept where they are read twice", async () => {
    execFileSync("mkfifo", [path("twice")]);
    spawn("bash", ["-c", `echo '{"text":"a"}' > "$0"`, path("twice")], { stdio: "ignore" });
    const [source] = (await findSources([path("twice")])).sources;
    expect(source).toMatchObject({ isFile: false, bytes: 0 });
    const kept = await keepSource(source!, path("kept"));
    for (let i = 0; i < 2; i++) {
      const texts = [];
      for await (const { text } of readDocuments(kept.file, undefined, { path: kept.path })) texts.push(text);
      expect(texts).toEqual(["a"]);
    }
  });
});
