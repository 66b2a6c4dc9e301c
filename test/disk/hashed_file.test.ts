import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { BLOCK_BYTES } from "../../lib/disk/aligned_block.js";
import { HashedFile } from "../../lib/disk/hashed_file.js";
import { builtDist } from "../support/built_package.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

/** Bytes that tell places apart, also across blocks. */
function made(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = i * 31 + (i >> 8);
  return bytes;
}

/** Writes the bytes in pieces of a size, each of which is overwritten once it has been taken. */
async function written(file: string, bytes: Uint8Array, piece: number) {
  const output = await HashedFile.create(file);
  const passed = new Uint8Array(piece);
  for (let begin = 0; begin < bytes.byteLength; begin += piece) {
    const part = bytes.subarray(begin, begin + piece);
    passed.set(part);
    await output.write(passed.subarray(0, part.byteLength));
  }
  return output.finish();
}

async function expectWritten(file: string, bytes: Uint8Array, piece: number): Promise<void> {
  const digest = await written(file, bytes, piece);
  expect(digest).toEqual({ bytes: bytes.byteLength, sha256: createHash("sha256").update(bytes).digest("hex") });
  expect(Buffer.compare(readFileSync(file), bytes)).toBe(0);
}

describe("a hashed file", () => {
  it.each([0, 1, 4096, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES + 4097])(
    "of %i bytes has what was written, in pieces of any size, and its hash",
    async (size) => {
      for (const piece of [100_003, 2 ** 20, 3 * BLOCK_BYTES]) await expectWritten(path("file"), made(size), piece);
    },
  );

  it("replaces a longer one", async () => {
    await expectWritten(path("file"), made(BLOCK_BYTES + 9), BLOCK_BYTES);
    await expectWritten(path("file"), made(9), 9);
  });

  it("is written at the same time as others", async () => {
    await Promise.all([1, 2, 3].map((n) => expectWritten(path(`file-${n}`), made(n * BLOCK_BYTES + n), 1_000_003)));
  });

  it("in memory, where no write goes past a cache", async () => {
    const folder = mkdtempSync("/dev/shm/nextpatch-test-");
    try {
      await expectWritten(join(folder, "file"), made(BLOCK_BYTES + 5), 1_000_003);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("leaves nothing if it is abandoned", async () => {
    const output = await HashedFile.create(path("file"));
    await output.write(made(BLOCK_BYTES + 5));
    await output.abandon();
    expect(existsSync(path("file"))).toBe(false);
  });
});

describe("a hashed file whose system calls go wrong", () => {
  const size = 2 * BLOCK_BYTES + 4097;
  const sha256 = createHash("sha256").update(made(size)).digest("hex");
  const source = fileURLToPath(new URL("../faults/inject.c", import.meta.url));

  /** Writes a file in another process, one of whose calls goes wrong; returns what it says. */
  function write(action: string, call: number): { calls: number; said: string } {
    const program = `
      const { HashedFile } = require(${JSON.stringify(join(builtDist(), "disk/hashed_file.js"))});
      const bytes = new Uint8Array(${size}).map((_, i) => i * 31 + (i >> 8));
      (async () => {
        const file = await HashedFile.create(process.env.FILE);
        await file.write(bytes);
        return (await file.finish()).sha256;
      })().then(console.log, (error) => console.log(error.message));`;
    const said = execFileSync(process.execPath, ["-e", program], {
      encoding: "utf8",
      env: {
        ...process.env,
        FILE: path("file"),
        LD_PRELOAD: path("inject.so"),
        NEXTPATCH_INJECT: `${call}:${action}:${path()}/file`,
        NEXTPATCH_INJECTED: path("calls"),
      },
    });
    return { calls: Number(readFileSync(path("calls"), "utf8")), said: said.trim() };
  }

  it("is whole, or its error has the true code and its name", () => {
    execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", path("inject.so"), source, "-ldl"]);
    const { calls, said } = write("count", 0);
    expect(said).toBe(sha256);
    expect(calls).toBe(6); // opened twice, three writes, synced
    // A write that ends halfway, and one that is refused for its kind, go on otherwise.
    for (const [action, call] of [
      ["torn", 3],
      ["torn", 4],
      ["-22", 2],
      ["-22", 3],
    ] as const) {
      expect(write(action, call).said).toBe(sha256);
      expect(Buffer.compare(readFileSync(path("file")), made(size))).toBe(0);
    }
    for (const call of [3, 6]) expect(write("28", call).said).toMatch(/\/file: ENOSPC: no space left on device/);
  });
});
