/** Cases that must not crash or hang a process, each in a separate process. */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { describe, expect, it } from "@jest/globals";
import { native } from "../../lib/native.js";
import { backends, cases } from "../support/backends.js";

const here = createRequire(import.meta.url);

interface Outcome {
  status: number | null;
  signal: string | null;
  output: string;
  errors: string;
}

/** Runs children/NAME.mjs to its end. */
function run(
  name: string,
  args: readonly (string | number)[],
  flags: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Outcome {
  const child = spawnSync(process.execPath, [...flags, here.resolve(`./children/${name}.mjs`), ...args.map(String)], {
    encoding: "utf8",
    timeout: 100_000,
    env: { ...process.env, NODE_OPTIONS: "", ...env },
  });
  return { status: child.status, signal: child.signal, output: child.stdout, errors: child.stderr };
}

/** What a child that must succeed printed as JSON. */
function result(name: string, args: readonly (string | number)[], flags: readonly string[] = []): unknown {
  const child = run(name, args, flags);
  expect({ ...child, output: "" }).toEqual({ status: 0, signal: null, output: "", errors: "" });
  return JSON.parse(child.output);
}

describe.each(backends)("a process with %s", (backend) => {
  const size = cases(backend, [256], [8])[0]!;

  it.each([1, 2, 3])("survives random calls, seed %i", (seed) => {
    const calls = cases(backend, [4000], [500])[0]!;
    const outcome = result("fuzz", [backend, seed, calls]) as { succeeded: number; failed: number };
    expect(outcome).toMatchObject({ wrong: [], alive: [4, 4, 4] });
    expect(outcome.succeeded).toBeGreaterThan(calls / 100);
    expect(outcome.failed).toBeGreaterThan(calls / 2);
  });

  it("refuses wrong receivers of methods and accessors", () => {
    expect(result("receivers", [backend])).toEqual([]);
  });

  it("refuses the native pointers of others", () => {
    for (const name of result("external", [backend]) as string[]) expect(name).toMatch(/^(Type|Range)Error$/);
  });

  it("frees the memory of tensors that were collected", () => {
    const { before, peak, after } = result("collected", [backend], ["--expose-gc"]) as Record<string, number>;
    expect(peak).toBeGreaterThan(before!);
    expect(after).toBe(before);
  });

  it("tells the garbage collector what tensors hold", () => {
    const { disposed, ...rest } = result("accounted", [backend]) as Record<
      string,
      { peak: number; collections: number }
    >;
    expect(disposed).toMatchObject({ peak: 1 });
    expect(disposed!.collections).toBeLessThan(3); // what is freed must not press for collections
    for (const { collections, peak } of Object.values(rest)) {
      expect(collections).toBeGreaterThan(3);
      expect(peak).toBeLessThan(50);
    }
  });

  it.each([
    ["ends", 0],
    ["awaited", 0],
    ["exit", 0],
    ["throw", 1],
  ])("with work in its queue %s with code %i, time after time", (how, code) => {
    for (let time = 0; time < 8; ++time) {
      const child = run("pending", [backend, how, size]);
      expect(child).toMatchObject({ status: code, signal: null });
      expect(child.output.trim().split("\n")).toEqual(how === "awaited" ? ["queued", String(size)] : ["queued"]);
      if (how === "throw") expect(child.errors).toContain("on purpose");
      else expect(child.errors).toBe("");
    }
  });

  it("outlives worker threads that are ended in the middle", () => {
    expect(result("workers", [backend, size])).toEqual([2 * size, 2 * size]);
  });
});

(backends.includes("cpu") ? it : it.skip)("hears of the memory that the cpu backend itself lacks", () => {
  const [name, message] = result("starved", []) as string[];
  expect(name).toBe("OutOfMemoryError");
  // oneDNN's layout of b may take a little more than b.
  expect(message).toMatch(
    /^matmul: out of memory: asked for 26\d{7} bytes, \d+ of \d+ are free, by the limit of .*, ulimit -v$/,
  );
});

(backends.includes("cpu") ? it : it.skip)("gives no more memory than its address space has", () => {
  const found = result("limited", []) as { limitedBy: string; freeBytes: number; ends: string[] };
  expect(found.limitedBy).toMatch(/ulimit -v$/);
  expect(found.freeBytes).toBeGreaterThan(1.8 * 2 ** 30);
  expect(found.freeBytes).toBeLessThanOrEqual(2 ** 31);
  expect(found.ends).toEqual(["nothing", "OutOfMemoryError", "OutOfMemoryError"]);
});

// Whatever backends are under test: only simt's devices fault at will.
const simt = native.backends().some(({ name, available }) => name === "simt" && available);

(simt ? describe : describe.skip)("a process without page-locked memory for a copy", () => {
  it("hears how much it asked for and how much the host has", () => {
    const child = run("pinned", ["simt"], [], { NEXTPATCH_SIMT_PINNED_BYTES: "1000000" });
    expect(child).toMatchObject({ status: 0, signal: null, errors: "" });
    const { failures, alive } = JSON.parse(child.output) as { failures: [string, string][]; alive: number[] };
    expect(failures).toHaveLength(3);
    for (const [name, message] of failures) {
      expect(name).toBe("OutOfMemoryError");
      expect(message).toMatch(/^out of host memory for a copy of 4000000 bytes: [1-9]\d* are free$/);
    }
    expect(alive).toEqual([1, 2, 3, 4]);
  });

  it("is refused the device where it cannot be opened", () => {
    const child = run("pinned", ["simt"], [], { NEXTPATCH_SIMT_PINNED_BYTES: "1" });
    expect(child).toMatchObject({ status: 1, signal: null });
    expect(child.errors).toContain("open: cudaHostAlloc failed: out of memory");
  });
});

(simt ? describe : describe.skip)("a process whose device faults", () => {
  // The first launch is that of the question which code the device runs: it fails the opening.
  it.each([2, 3, 4, 5])("hears of it by errors, and ends as it likes, at launch %i", (launch) => {
    const child = run("fault", ["simt"], [], { NEXTPATCH_SIMT_FAULT: String(launch) });
    expect(child).toMatchObject({ status: 0, signal: null, errors: "" });
    const { thrown, rejected } = JSON.parse(child.output) as { thrown: string[]; rejected: string[] };
    expect(thrown.every((name) => name === "DeviceError")).toBe(true);
    expect(rejected.length).toBeGreaterThan(0);
    for (const message of rejected) {
      expect(message).toMatch(
        /^simt:0 \(.+\): the device failed in an operation before this call: the kernel that NEXTPATCH_SIMT_FAULT names/,
      );
      expect(message).toMatch(/It was one of: \w+(, \w+)*\. The device is lost to this process; restart the process$/);
    }
  });
});

(simt ? describe : describe.skip)("a process with two devices", () => {
  it("uses both at once, each with its own queue, memory and graphs", () => {
    const child = run("two_devices", ["simt"], [], { NEXTPATCH_SIMT_DEVICES: "2" });
    expect(child).toMatchObject({ status: 0, signal: null, errors: "" });
    expect(JSON.parse(child.output)).toEqual({
      values: [3 * 1000, 3 * 2000 + 5000],
      used: [true, true],
      mixed: expect.stringMatching(/^copy: source: expected a tensor on the device of the other arguments/),
    });
  });
});

(simt ? describe : describe.skip)("tensors of more than 2^31 elements", () => {
  it("are addressed right, by row, head and sequence", () => {
    const child = run("large", ["simt"], [], { NEXTPATCH_SIMT_SPARSE: "1" });
    expect(child).toMatchObject({ signal: null, errors: "" });
    const results = Object.entries(JSON.parse(child.output) as Record<string, boolean>);
    expect(results).toHaveLength(12);
    expect(results.filter(([, right]) => !right)).toEqual([]);
  });

  it("are addressed right by kernels that go through all of them, in their first and last rows", () => {
    const child = run("large_rows", [], [], { NEXTPATCH_SIMT_SPARSE: "1", NEXTPATCH_SIMT_BLOCKS: "ends" });
    expect(child).toMatchObject({ status: 0, signal: null, errors: "" });
    const results = Object.entries(JSON.parse(child.output) as Record<string, boolean>);
    expect(results).toHaveLength(12);
    expect(results.filter(([, right]) => !right)).toEqual([]);
  });
});
