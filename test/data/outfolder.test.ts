/** The folder of a dataset: how it comes into its place, and what is left of one that did not. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { checkOutFolder, writeFolderAside } from "../../lib/data/outfolder.js";
import { ConfigError } from "../../lib/errors.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

/** Writes a dataset's files, of this content, as `prepare` does. */
const filled =
  (content: string, names = ["train_000000.bin", "tokenizer.json", "dataset.json"]) =>
  async (folder: string): Promise<string> => {
    for (const name of names) writeFileSync(join(folder, name), content);
    return content;
  };

const contents = (folder: string): Record<string, string> =>
  Object.fromEntries(readdirSync(path(folder)).map((name) => [name, readFileSync(path(`${folder}/${name}`), "utf8")]));

const dataset = (content: string) => ({
  "dataset.json": content,
  "tokenizer.json": content,
  "train_000000.bin": content,
});

describe("a dataset's folder", () => {
  it("that does not exist is renamed into its place, with its parents", async () => {
    expect(await writeFolderAside(path("a/b"), filled("x"))).toBe("x");
    expect(contents("a/b")).toEqual(dataset("x"));
    expect(readdirSync(path("a"))).toEqual(["b"]);
  });

  it("that exists stays the same folder, and loses the earlier dataset's files", async () => {
    mkdirSync(path("out"));
    const before = statSync(path("out")).ino;
    await writeFolderAside(path("out"), filled("x", ["train_000000.bin", "train_000001.bin", "dataset.json"]));
    await writeFolderAside(path("out"), filled("y"));
    expect(contents("out")).toEqual(dataset("y"));
    expect(statSync(path("out")).ino).toBe(before);
    symlinkSync(path("out"), path("link"));
    await writeFolderAside(path("link"), filled("z"));
    expect(contents("out")).toEqual(dataset("z"));
    expect(readdirSync(path()).sort()).toEqual(["link", "out"]);
  });

  it("may lie in a folder that cannot be written", async () => {
    mkdirSync(path("parent/out"), { recursive: true });
    chmodSync(path("parent"), 0o555);
    try {
      await writeFolderAside(path("parent/out"), filled("x"));
    } finally {
      chmodSync(path("parent"), 0o755);
    }
    expect(contents("parent/out")).toEqual(dataset("x"));
  });

  it("is as it was where filling it fails", async () => {
    const fails = (folder: string): Promise<string> => {
      writeFileSync(join(folder, "train_000000.bin"), "half");
      return Promise.reject(new Error("no more"));
    };
    await expect(writeFolderAside(path("new"), fails)).rejects.toThrow("no more");
    expect(readdirSync(path())).toEqual([]);
    await writeFolderAside(path("out"), filled("x"));
    await expect(writeFolderAside(path("out"), fails)).rejects.toThrow("no more");
    expect(contents("out")).toEqual(dataset("x"));
    expect(readdirSync(path())).toEqual(["out"]);
  });

  it("is not taken from files that are none of a dataset's, at the start or by then", async () => {
    mkdirSync(path("out"));
    writeFileSync(path("out/notes.txt"), "");
    await expect(checkOutFolder(path("out"))).rejects.toThrow(
      /out: expected a new or empty folder, or an earlier .* but received a folder that holds notes\.txt$/,
    );
    writeFileSync(path("file"), "");
    await expect(checkOutFolder(path("file"))).rejects.toThrow(ConfigError);
    mkdirSync(path("later"));
    const meanwhile = async (folder: string): Promise<void> => {
      await filled("x")(folder);
      writeFileSync(path("later/notes.txt"), "");
    };
    await expect(writeFolderAside(path("later"), meanwhile)).rejects.toThrow(/holds notes\.txt$/);
    expect(readdirSync(path("later"))).toEqual(["notes.txt"]);
    const appears = async (folder: string): Promise<void> => {
      await filled("x")(folder);
      mkdirSync(path("appears"));
      writeFileSync(path("appears/notes.txt"), "");
    };
    await expect(writeFolderAside(path("appears"), appears)).rejects.toThrow(ConfigError);
    expect(readdirSync(path("appears"))).toEqual(["notes.txt"]);
    mkdirSync(path("shards"));
    writeFileSync(path("shards/train_000000.bin"), "");
    await expect(checkOutFolder(path("shards"))).rejects.toThrow(/holds train_000000\.bin$/);
  });

  it.each(["new", "old"])("is refused while another fills it, %s", async (state) => {
    if (state === "old") mkdirSync(path("out"));
    await writeFolderAside(path("out"), async (folder) => {
      await expect(writeFolderAside(path("out"), filled("other"))).rejects.toThrow(
        new RegExp(`out: expected a folder that nothing else is writing but received .*process ${process.pid}, since `),
      );
      await filled("x")(folder);
    });
    expect(contents("out")).toEqual(dataset("x"));
    expect(readdirSync(path())).toEqual(["out"]);
  });

  it.each(["new", "old"])("is cleaned of what a killed process left, %s", async (state) => {
    const staging = state === "old" ? path("out/.prepare") : path(".out.part");
    mkdirSync(staging, { recursive: true });
    for (const name of ["train_000007.bin.partial", "pipe-0"]) writeFileSync(join(staging, name), "half");
    // A process that is gone: its number is taken, but by one that started at another time.
    const space = `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${execFileSync("readlink", ["/proc/self/ns/pid"]).toString().trim()}`;
    const owner = { pid: process.pid, host: "here", space, started: "1", since: "then" };
    writeFileSync(join(staging, "prepare.lock"), JSON.stringify(owner));
    if (state === "old") writeFileSync(path("out/train_000000.bin"), "of an interrupted replacement");
    await writeFolderAside(path("out"), filled("x"));
    expect(contents("out")).toEqual(dataset("x"));
    expect(readdirSync(path())).toEqual(["out"]);
    expect(existsSync(staging)).toBe(false);
  });
});
