/** `info --check` compares every operation, finds a fault in any, and finds none on a device that works. */
import { afterEach, describe, expect, it } from "@jest/globals";
import { allCalls } from "../../lib/check/calls/all.js";
import type { Operation } from "../../lib/check/calls/call.js";
import { checkKernels, type DeviceCheck, type OperationCheck } from "../../lib/check/run.js";
import { Device } from "../../lib/device.js";
import { limits } from "../../lib/limits.js";
import { native, Tensor } from "../../lib/native.js";
import { backends } from "../support/backends.js";

const signatures = native.signatures();
const computing = Object.keys(signatures).filter((name) => signatures[name]!.returns === "void") as Operation[];

const cpu = new Device("cpu", 0, 2);
/** The device under test, for faults: the CPU again, told apart by its number of threads. */
const other = new Device("cpu", 0, 1);

/** Each operation's results, by the names of its parameters. */
const results: Record<Operation, readonly string[]> = {
  fill: ["out"],
  copy: ["out"],
  normal: ["out"],
  rotaryTable: ["table"],
  firstNonFinite: ["out"],
  matmul: ["c"],
  batchedMatmul: ["c"],
  sum: ["out"],
  patchEmbeddingForward: ["out"],
  patchEmbeddingBackward: ["dtable"],
  rmsNormForward: ["out", "sum", "rstd"],
  rmsNormResidualForward: ["out", "rstd"],
  rmsNormBackward: ["dx", "dweight"],
  rotary: ["x"],
  qkNormForward: ["out", "rstd"],
  qkNormBackward: ["dx", "dweight"],
  biasForward: ["x"],
  biasBackward: ["dbias"],
  attentionForward: ["out", "lse"],
  attentionBackward: ["dq", "dk", "dv"],
  swigluForward: ["out"],
  swigluBackward: ["dgateUp"],
  gegluForward: ["out"],
  gegluBackward: ["dgateUp"],
  patchLabels: ["labels"],
  labelCoefficients: ["coefficients"],
  crossEntropy: ["losses", "logits"],
  gradNorm: ["norm"],
  guardNorm: ["measured", "norm"],
  adamw: ["param", "master", "m", "v", "steps", "corrections"],
  muonMomentum: ["out", "momentum"],
  muonUpdate: ["param", "master"],
  sample: ["out"],
};

type Functions = Record<string, (...args: unknown[]) => void>;
const functions = native as unknown as Functions;
const originals = { ...functions };
afterEach(() => void Object.assign(functions, originals));

/** Follows an operation on the device under test with something else. */
function follow(name: Operation, then: (args: unknown[]) => void): void {
  functions[name] = (...args) => {
    originals[name]!(...args);
    if ((args[0] as Tensor).device.threads === other.threads) then(args);
  };
}

/** Sets the last element of a result to a wrong value. */
function spoil(tensor: Tensor): void {
  const last = tensor.shape.reduce((view, size, dimension) => view.narrow(dimension, size - 1, 1), tensor);
  originals.fill!(last, tensor.dtype === "i32" ? 1_000_003 : 0);
}

async function checked(name: Operation): Promise<OperationCheck> {
  const calls = allCalls("small").filter(({ operation }) => operation === name);
  return (await checkKernels(other, cpu, { calls })).operations[0]!;
}

describe("the calls", () => {
  it.each(["full", "small"] as const)("have every operation that computes, %s", (size) => {
    const called = new Set(allCalls(size).map(({ operation }) => operation));
    expect([...called].sort()).toEqual([...computing].sort());
  });

  it.each(["full", "small"] as const)("have both dtypes of whatever computes in both, %s", (size) => {
    const dtypesOf = (name: Operation) =>
      new Set(allCalls(size).flatMap(({ operation, dtype }) => (operation === name ? [dtype] : [])));
    const single = ["normal", "rotaryTable", "sum", "patchLabels", "labelCoefficients", "gradNorm", "guardNorm"];
    for (const name of computing.filter((operation) => !single.includes(operation))) {
      expect({ name, dtypes: [...dtypesOf(name)] }).toEqual({ name, dtypes: expect.arrayContaining(["f32", "bf16"]) });
    }
  });

  it.each(["rotary", "attentionForward", "attentionBackward"] as const)("have every head dimension of %s", (name) => {
    const dimensions = allCalls("small").flatMap(({ operation, shape }) => (operation === name ? [shape.D] : []));
    expect(new Set(dimensions)).toEqual(new Set(limits.headDims));
  });
});

const disagreeing = ({ operations }: DeviceCheck) => operations.filter(({ outcome }) => outcome !== "agrees");

describe("a device that works agrees", () => {
  it("the CPU with another number of threads", async () => {
    const check = await checkKernels(other, cpu, { size: "full" });
    expect(disagreeing(check)).toEqual([]);
    expect(check).toMatchObject({ device: "cpu", agrees: true });
    expect(check.operations.length).toBe(computing.length);
  });

  // test/cli/check.test.ts has the simulated device.
  (backends.includes("cuda") ? it : it.skip)("a GPU with the CPU", async () => {
    expect(disagreeing(await checkKernels(new Device("cuda", 0, 2), cpu))).toEqual([]);
  });

  // Devices round differently: no draw may lie so near to another token that this changes it.
  it.each([-1, 1])("in its draws, if the logits are off by some roundings, %i", async (sign) => {
    functions.sample = (...args) => {
      const onOther = (args[0] as Tensor).device.threads === other.threads;
      const at = signatures.sample!.parameters.findIndex(({ name }) => name === "temperature");
      const temperature = (args[at] as number) * (onOther ? 1 + sign * 2 ** -20 : 1);
      originals.sample!(...args.with(at, temperature));
    };
    const calls = allCalls("full").filter(({ operation }) => operation === "sample");
    expect(disagreeing(await checkKernels(other, cpu, { calls }))).toEqual([]);
  });
});

describe("a fault is found", () => {
  it.each(computing.flatMap((name) => results[name].map((result) => [name, result] as const)))(
    "in one element of what %s writes to %s",
    async (name, result) => {
      const at = signatures[name]!.parameters.findIndex((parameter) => parameter.name === result);
      follow(name, (args) => args[at] instanceof Tensor && spoil(args[at]));
      const check = await checked(name);
      expect(check.outcome).toBe("differs");
      expect(check.problem!.message).toMatch(/^\w+: \[|^it wrote to an input$/);
      expect(check.problem!.call).toMatch(/^(f32|bf16|i32) \w+=/);
    },
  );

  it("in an operation, and not in those that read its results", async () => {
    follow("attentionForward", ([out, lse]) => [out, lse].forEach((tensor) => spoil(tensor as Tensor)));
    expect((await checked("attentionForward")).outcome).toBe("differs");
    expect((await checked("attentionBackward")).outcome).toBe("agrees");
  });

  it("where a result changes from run to run", async () => {
    let run = 0;
    follow("swigluForward", ([out]) => run++ % 2 === 1 && spoil(out as Tensor));
    expect((await checked("swigluForward")).problem!.message).toBe("out differs from run to run");
  });

  it("where an operation leaves its result as it was", async () => {
    functions.swigluBackward = (...args) => {
      if ((args[0] as Tensor).device.threads !== other.threads) originals.swigluBackward!(...args);
    };
    expect(await checked("swigluBackward")).toMatchObject({ outcome: "differs", worst: null });
  });

  it("where it changes an input", async () => {
    follow("swigluForward", ([, gateUp]) => spoil(gateUp as Tensor));
    expect(await checked("swigluForward")).toMatchObject({
      outcome: "differs",
      problem: { message: "it wrote to an input" },
    });
  });

  it("where it fails, in its own words", async () => {
    follow("rotary", () => {
      throw new Error("rotary: launch failed: no kernel image is available");
    });
    const check = await checked("rotary");
    expect(check).toMatchObject({ outcome: "fails", wrongCalls: check.calls });
    expect(check.problem!.message).toBe("rotary: launch failed: no kernel image is available");
  });

  it("and a device that has failed is asked for nothing more", async () => {
    const failing = new Device("cpu", 0, 1);
    let dead = false;
    failing.synchronize = () => (dead ? Promise.reject(new Error("the device failed")) : Promise.resolve());
    follow("sum", () => {
      dead = true;
      throw new Error("sum: the device failed");
    });
    const { operations } = await checkKernels(failing, cpu, { size: "small" });
    const names = operations.map(({ name }) => name);
    const at = names.indexOf("sum");
    expect(operations.slice(0, at).every(({ outcome }) => outcome === "agrees")).toBe(true);
    expect(operations[at]).toMatchObject({
      outcome: "fails",
      calls: 1,
      wrongCalls: 1,
      problem: { message: "sum: the device failed" },
    });
    expect(operations.slice(at + 1).every(({ outcome, calls }) => outcome === "not checked" && calls === 0)).toBe(true);
  });
});
