import { describe, expect, it } from "@jest/globals";
import { kernelLines } from "../../bench/kernels.js";
import type { KernelRow } from "../../bench/pairing.js";
import { findPeer, lastJson } from "../../bench/peer.js";
import { type TorchStep, trainLines, trainRow, type Variant } from "../../bench/train.js";
import type { TrainBenchResult } from "../../lib/bench/train_step.js";

const ours = (tokensPerSecond: number): TrainBenchResult => ({
  tokensPerSecond,
  positionsPerSecond: 1,
  secondsPerStep: 1,
  mfu: null,
  peakBytes: 1,
});
const theirs = (tokensPerSecond: number): TorchStep => ({
  tokensPerSecond,
  microBatch: 8,
  lossImplementation: "one_logsumexp",
});
const variant = (name: string): Variant => ({ name, args: ["--fast"], search: theirs(1) });
const comparison = { what: "", model: {}, sequenceLength: 1, tokensPerStep: 1 };

describe("training steps", () => {
  const row = trainRow(
    4,
    [ours(300), ours(600), ours(900)],
    [variant("plain"), variant("compiled")],
    [
      [theirs(100), theirs(200)],
      [theirs(300), theirs(200)],
      [theirs(100), theirs(100)],
    ],
  );

  it("keep every round of every variant, and count medians: of a ratio that of the rounds' ratios", () => {
    expect(row.nextpatch.tokensPerSecond).toBe(600);
    expect(row.pytorch.map(({ name, tokensPerSecond, ratio }) => [name, tokensPerSecond, ratio])).toEqual([
      ["compiled", 200, 3],
      ["plain", 100, 3],
    ]);
    expect(row.pytorch[1]!.rounds.map(({ tokensPerSecond }) => tokensPerSecond)).toEqual([100, 300, 100]);
  });

  it("are a table with a line for each variant, the fastest first; or ours alone", () => {
    const alone = trainRow(1, [ours(5)], [], [[]]);
    expect(trainLines({ ...comparison, rows: [alone, row] }).slice(2)).toEqual([
      "| 1 | 5 | – | – | – |",
      "| 4 | 600 | 200 | 3.00 | compiled, micro-batch 8, one_logsumexp |",
      "| 4 | 600 | 100 | 3.00 | plain, micro-batch 8, one_logsumexp |",
    ]);
  });
});

it("kernels are a table with the peer's fastest variant, where there is one", () => {
  const kernel = (rest: Partial<KernelRow>): KernelRow => ({
    name: "a",
    shape: { N: 8 },
    seconds: 2e-6,
    bytes: 1,
    flops: 0,
    bytesPerSecond: 1,
    flopsPerSecond: 0,
    fractionOfCeiling: 0.5,
    bound: "memory",
    peers: [],
    ratio: null,
    ...rest,
  });
  const peers = [
    { variant: "x", seconds: 6e-6 },
    { variant: "y", seconds: 4e-6 },
    { variant: "z", problem: "none" },
  ];
  const rows = [kernel({ peers, ratio: 2 }), kernel({ name: "b", peers: [{ variant: "z", problem: "none" }] })];
  const ceilings = { bytesPerSecond: 1, flopsPerSecond: 1 };
  expect(kernelLines({ dtype: "bf16", ceilings, rows }).slice(2)).toEqual([
    "| a N=8 | 2.0 | 50 % | 4.0 | 2.00 | y |",
    "| b N=8 | 2.0 | 50 % | – | – | – |",
  ]);
});

describe("the peer", () => {
  it("is missing where nothing is installed, and is not looked for elsewhere", () => {
    const { peer, problem } = findPeer(undefined, "/none/python");
    expect(peer).toBeNull();
    expect(problem).toContain("/none/python is not there");
  });

  it("that was asked for and does not work is an error, in its own words", () => {
    expect(() => findPeer("/none/python")).toThrow("/none/python: ");
    const failing = ["-e", "console.log('{}'); console.error('No module named torch'); process.exit(1)"];
    expect(() => lastJson(process.execPath, failing)).toThrow(/: No module named torch$/);
  });

  it("says its result in its last line", () => {
    expect(lastJson(process.execPath, ["-e", "console.log('progress\\n{\"a\":1}')"])).toEqual({ a: 1 });
  });
});
