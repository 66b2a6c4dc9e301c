import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { HashedFile } from "../../lib/disk/hashed_file.js";
import { ManifestWriter, verifyManifest } from "../../lib/disk/manifest.js";
import { naming } from "../../lib/disk/named_error.js";
import { CheckpointError } from "../../lib/errors.js";
import { flipBit } from "../support/bits.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

beforeEach(async () => {
  mkdirSync(path("m/below"), { recursive: true });
  const manifest = new ManifestWriter(path("m"));
  await manifest.write("one.txt", "one\n");
  await manifest.write("below/two.bin", new Uint8Array(3_000_000).fill(7));
  await manifest.write("empty", "");
  await manifest.finish();
});

const verified = () => verifyManifest(path("m"));

describe("a manifest", () => {
  it("has the size and the SHA-256 of each file, as sha256sum has it", () => {
    const { version, files } = JSON.parse(readFileSync(path("m/manifest.json"), "utf8"));
    expect(version).toBe(1);
    expect(Object.keys(files)).toEqual(["one.txt", "below/two.bin", "empty"]);
    expect(files["one.txt"]).toEqual({
      bytes: 4,
      sha256: "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806",
    });
    expect(files.empty).toEqual({
      bytes: 0,
      sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    });
  });

  it("passes what was written, and files that it does not name", async () => {
    expect(await verified()).toBe(true);
    writeFileSync(path("m/README.md"), "mine");
    expect(await verified()).toBe(true);
    mkdirSync(path("none"));
    expect(await verifyManifest(path("none"))).toBe(false);
    expect(await verifyManifest(path("nowhere"))).toBe(false);
  });

  it.each([
    [
      "cut short",
      () => truncateSync(path("m/below/two.bin"), 2_999_999),
      /two\.bin: expected the 3000000 bytes .* 2999999; if you have edited it, delete manifest\.json$/,
    ],
    ["missing", () => rmSync(path("m/one.txt")), /one\.txt: expected the 4 bytes .* a file that does not exist$/],
    [
      "edited",
      () => writeFileSync(path("m/one.txt"), "two\n"),
      /one\.txt: expected the bytes that were written \(SHA-256 2c8b08da5ce6…/,
    ],
    [
      "a folder",
      () => {
        rmSync(path("m/one.txt"));
        mkdirSync(path("m/one.txt"));
      },
      /one\.txt: expected .* something else than a file; if/,
    ],
  ])("names a file that is %s", async (_, damage, message) => {
    damage();
    await expect(verified()).rejects.toThrow(CheckpointError);
    await expect(verified()).rejects.toThrow(message);
    expect(await verifyManifest(path("m"), (name) => name === "empty")).toBe(true);
  });

  it("finds every flipped bit of its own", async () => {
    const bits = 8 * readFileSync(path("m/manifest.json")).length;
    for (let bit = 0; bit < bits; bit += 13) {
      flipBit(path("m/manifest.json"), bit);
      await expect(verified()).rejects.toThrow(CheckpointError);
      flipBit(path("m/manifest.json"), bit);
    }
    expect(await verified()).toBe(true);
  });

  it.each([
    ["", /other text/],
    ["null", /other text/],
    ['{"version":1,"files":{}}', /other text/], // in another form
    [`{"version": 1, "files": {"${"a".repeat(2 ** 21)}": 1}}`, /a file of \d+ bytes$/],
  ])("is refused if it is damaged: %#", async (text, message) => {
    writeFileSync(path("m/manifest.json"), text);
    await expect(verified()).rejects.toThrow(CheckpointError);
    await expect(verified()).rejects.toThrow(message);
  });

  it.each(["../one.txt", "/etc/passwd", "a/../../one.txt", "./one.txt", "a//b", "..\\one"])(
    "reads nothing outside its folder: %s",
    async (name) => {
      const files = { [name]: { bytes: 4, sha256: "0".repeat(64) } };
      writeFileSync(path("m/manifest.json"), `${JSON.stringify({ version: 1, files }, null, 2)}\n`);
      await expect(verified()).rejects.toThrow(/manifest\.json: expected .* other text/);
    },
  );

  it("is refused if it is no file", async () => {
    renameSync(path("m/manifest.json"), path("away"));
    mkdirSync(path("m/manifest.json"));
    await expect(verified()).rejects.toThrow(/manifest\.json: expected .* something else than a file$/);
  });
});

describe("an error of the file system", () => {
  it("names the file that cannot be written, with its own code", async () => {
    const full = await HashedFile.create("/dev/full");
    const write = full.write(new Uint8Array(5_000_000));
    await expect(write).rejects.toMatchObject({ code: "ENOSPC", path: "/dev/full" });
    await expect(write).rejects.toThrow(/^\/dev\/full: ENOSPC: no space left on device, write$/);
    symlinkSync("/dev/full", path("full.txt"));
    await expect(new ManifestWriter(path()).write("full.txt", "text")).rejects.toThrow(/full\.txt: ENOSPC: /);
    await expect(HashedFile.create(path("nowhere/file"))).rejects.toThrow(/^ENOENT: .*nowhere\/file'$/);
  });

  it("stays as it is if it names one, or is another", async () => {
    const other = new RangeError("of another kind");
    await expect(naming("here", () => Promise.reject(other))).rejects.toBe(other);
    expect(other.message).toBe("of another kind");
  });
});
