/** A device's memory and its queue on work that is held up at will, in a program of its own, under AddressSanitizer. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "@jest/globals";
import { repository, version } from "../support/package_tree.js";

const folder = mkdtempSync(join(tmpdir(), "nextpatch-queue-"));
afterAll(() => rmSync(folder, { recursive: true }));

const objects = [
  "allocator",
  "device",
  "history",
  "liveness",
  "meeting",
  "ranks",
  "rendezvous",
  "socket",
  "version",
  "worker",
];

it("keeps to the queue's order with blocks, graphs, writes, and operations beside it", () => {
  const program = join(folder, "queue");
  const sources = [...objects.map((name) => `native/core/${name}.cpp`), "test/native/queue.cpp"];
  const options = ["-std=c++17", "-O0", "-fsanitize=address"];
  execFileSync("c++", [
    ...options,
    `-DNEXTPATCH_VERSION="${version}"`,
    ...sources.map((file) => join(repository, file)),
    "-o",
    program,
  ]);
  const { status, stdout, stderr } = spawnSync(program, { encoding: "utf8" });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "" });
}, 300_000);
