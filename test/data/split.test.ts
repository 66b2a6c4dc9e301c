/** A split of a dataset on its way to disk. */
import { mkdirSync, readdirSync, readlinkSync } from "node:fs";
import { expect, it } from "@jest/globals";
import { SplitWriter } from "../../lib/data/split.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

/** The files of the test's folder that this process has open. */
const open = (): string[] =>
  readdirSync("/proc/self/fd").flatMap((descriptor) => {
    try {
      const file = readlinkSync(`/proc/self/fd/${descriptor}`);
      return file.startsWith(path()) ? [file] : [];
    } catch {
      return []; // the one that the folder was read by
    }
  });

it("closes its files where a shard cannot be completed", async () => {
  mkdirSync(path("train_000000.bin/in its place"), { recursive: true });
  const writer = new SplitWriter(path(), "train", 2, 100);
  await writer.write(Uint32Array.of(1, 2, 3), Uint8Array.of(1, 0, 1));
  expect(open().sort()).toEqual([path("train_000000.bin.partial"), path("train_000000.mask.partial")]);
  await expect(writer.finish()).rejects.toMatchObject({ code: "EISDIR" });
  await writer.abort();
  expect(open()).toEqual([]);
});
