import { describe, expect, it } from "@jest/globals";
import { regressions } from "../../bench/gpu/regression.js";
import { type GpuResult, merged, parseStep, resultName } from "../../bench/gpu/result.js";
import { type KernelRow, kernelKey, pairKernels } from "../../bench/pairing.js";

function row(name: string, K: number, ratio: number | null, seconds = 2): KernelRow {
  return {
    name,
    shape: { N: 8, K },
    seconds,
    bytes: 1,
    flops: 0,
    bytesPerSecond: 1,
    flopsPerSecond: 0,
    fractionOfCeiling: 0.5,
    bound: "memory",
    peers: [],
    ratio,
  };
}

function result(rows: readonly KernelRow[] | null, device = "NVIDIA H200"): GpuResult {
  const ceilings = { bytesPerSecond: 1, flopsPerSecond: 1 };
  const kernels = rows && { dtype: "bf16", ceilings, rows };
  return { device, date: "2026-01-01T00:00:00.000Z", versions: {}, steps: [], kernels, train: [], twoStages: null };
}

describe("pairKernels", () => {
  const timing = (variant: string, K: number, rest: object) => ({ name: "a", shape: { N: 8, K }, variant, ...rest });
  const theirs = {
    torch: "2",
    kernels: [
      timing("plain", 1, { seconds: 6, launchBound: false }),
      timing("compiled", 1, { seconds: 3, launchBound: false }),
      timing("hasty", 1, { seconds: 1, launchBound: true }),
      timing("flash", 4, { problem: "no such shape" }),
    ],
  };

  it("divides PyTorch's fastest time by ours, of the same operation and shape", () => {
    const [first, second, third] = pairKernels([row("a", 1, null), row("a", 4, null), row("b", 1, null)], theirs);
    expect(first!.ratio).toBe(1.5);
    expect(first!.peers.map(({ variant }) => variant)).toEqual(["plain", "compiled", "hasty"]);
    expect(second).toMatchObject({ ratio: null, peers: [{ variant: "flash", problem: "no such shape" }] });
    expect(third).toMatchObject({ ratio: null, peers: [] });
  });

  it("does without PyTorch", () => {
    expect(pairKernels([row("a", 1, null)], null)[0]!.ratio).toBeNull();
  });
});

describe("merged", () => {
  const step = (phase: string, name: string) => ({ phase, name, outcome: "passed" as const, seconds: 1 });

  it("keeps of an older result the phases that did not run again", () => {
    const older = { ...result([row("a", 1, 2)]), steps: [step("build", "native"), step("kernels", "kernels")] };
    const found = {
      ...result(null),
      steps: [step("build", "native"), step("train", "train-1")],
      twoStages: { loss: 1 },
    };
    const { kernels, steps, twoStages } = merged(older, found);
    expect(kernels).toBe(older.kernels);
    expect(steps.map(({ name }) => name)).toEqual(["kernels", "native", "train-1"]);
    expect(twoStages).toEqual({ loss: 1 });
  });

  it("forgets what ran again and failed", () => {
    const older = { ...result([row("a", 1, 2)]), steps: [step("kernels", "kernels")] };
    const found = { ...result(null), steps: [{ ...step("kernels", "kernels"), outcome: "failed" as const }] };
    expect(merged(older, found)).toMatchObject({ kernels: null, steps: [{ outcome: "failed" }] });
  });
});

describe("regressions", () => {
  const committed = result([row("a", 1, 2), row("a", 4, 1.1), row("b", 1, null)]);

  it("lets pass what is as fast, faster, or at most 10 per cent slower", () => {
    expect(regressions(committed, result([row("a", 1, 1.82), row("a", 4, 3), row("b", 1, null)]))).toEqual([]);
  });

  it("names what is more than 10 per cent slower, however long it took", () => {
    expect(regressions(committed, result([row("a", 1, 1.6, 0.1), row("a", 4, 1.1)]))).toEqual([
      "a N=8 K=1: 2.00 x PyTorch committed, 1.60 x now (25 % slower)",
    ]);
  });

  it("names what is no longer measured", () => {
    const lost = "a N=8 K=4: 1.10 x PyTorch committed, not measured now";
    expect(regressions(committed, result([row("a", 1, 2), row("a", 4, null)]))).toEqual([lost]);
    expect(regressions(committed, result(null))).toHaveLength(2);
  });

  it("lets pass a kernel whose peers were as slow as the host launched them", () => {
    const bound = { ...row("a", 4, null), peers: [{ variant: "plain", seconds: 1, launchBound: true }] };
    expect(regressions(committed, result([row("a", 1, 2), bound]))).toEqual([]);
  });

  it("refuses results of different devices", () => {
    expect(() => regressions(committed, result([], "NVIDIA A100"))).toThrow("NVIDIA H200 committed, NVIDIA A100 now");
  });
});

describe("parseStep", () => {
  it("reads an outcome and its reason", () => {
    const [phase, name] = ["test", "test-cpu"];
    expect(parseStep("test\ttest-cpu\tpassed\t12\t")).toEqual({ phase, name, outcome: "passed", seconds: 12 });
    expect(parseStep("test\ttest-cpu\tfailed\t1\texit code 1")).toEqual({
      phase,
      name,
      outcome: "failed",
      seconds: 1,
      reason: "exit code 1",
    });
  });

  it("refuses anything else", () => {
    expect(() => parseStep("test\ttest-cpu\tpassed")).toThrow(/expected phase, name, outcome/);
    expect(() => parseStep("test\ttest-cpu\tperhaps\t1\t")).toThrow(/expected phase, name, outcome/);
  });
});

it("results are named after the device, kernels after operation and shape", () => {
  expect(resultName("NVIDIA GeForce RTX 4090 ")).toBe("nvidia-geforce-rtx-4090.json");
  expect(kernelKey({ name: "matmul", shape: { M: 8, op: "NT" } })).toBe("matmul M=8 op=NT");
});
