import { describe, expect, it } from "@jest/globals";
import { kernelCases } from "../../lib/bench/kernels/cases.js";
import { costs, touchedRows } from "../../lib/bench/kernels/cost.js";
import { benchKernels, type KernelBenchResult } from "../../lib/bench/kernels/run.js";
import { benchShapes, rotatedSets } from "../../lib/bench/kernels/shapes.js";
import { kernelTable } from "../../lib/bench/kernels/table.js";
import { RandomTensors } from "../../lib/bench/kernels/tensors.js";
import { median, timeCalls } from "../../lib/bench/kernels/timing.js";
import { Device } from "../../lib/device.js";
import { native, Tensor } from "../../lib/native.js";
import { backends } from "../support/backends.js";

describe("costs", () => {
  it("count an attention's products as if it went over its visible pairs one by one", () => {
    const [B, T, H, G, D] = [2, 5, 4, 2, 32];
    let pairs = 0;
    for (let query = 0; query < T; query++) for (let key = 0; key <= query; key++) pairs++;
    const forward = costs(2).attentionForward(B, T, H, G, D);
    expect(forward.flops).toBe(B * H * pairs * 2 * (2 * D));
    expect(costs(2).attentionBackward(B, T, H, G, D).flops).toBe(2.5 * forward.flops);
    expect(forward.bytes).toBe(2 * B * T * D * (H + G + G + H) + 4 * B * H * T);
  });

  it("count the parameter of AdamW only where it is not the master weight itself", () => {
    expect(costs(2).adamw(10).bytes).toBe(300);
    expect(costs(4).adamw(10).bytes).toBe(280);
  });

  it("count a table's row once however often it occurs", () => {
    expect(touchedRows(1, 7)).toBeCloseTo(1);
    expect(touchedRows(2, 2)).toBeCloseTo(1.5); // two draws of two rows: equal half of the time
    expect(touchedRows(1e6, 7)).toBeCloseTo(7);
  });
});

describe("the cases", () => {
  it.each(["cuda", "cpu", "simt"] as const)("%s: every name and shape is there once", (backend) => {
    const keys = kernelCases(benchShapes(backend), "bf16").map(({ name, shape }) => name + JSON.stringify(shape));
    expect(new Set(keys).size).toBe(keys.length);
  });

  it("cover the operations of a training step, of any architecture", () => {
    const names = new Set(kernelCases(benchShapes("cpu"), "f32").map(({ name }) => name));
    expect([...names].sort()).toEqual([
      "adamw",
      "attention_backward",
      "attention_forward",
      "batched_matmul",
      "bias_backward",
      "bias_forward",
      "copy",
      "cross_entropy",
      "fill",
      "geglu_backward",
      "geglu_forward",
      "grad_norm",
      "matmul",
      "muon_momentum",
      "muon_update",
      "patch_embedding_backward",
      "patch_embedding_forward",
      "qk_norm_backward",
      "qk_norm_forward",
      "rmsnorm_backward",
      "rmsnorm_forward",
      "rmsnorm_residual_forward",
      "rotary",
      "swiglu_backward",
      "swiglu_forward",
    ]);
  });

  it("rotate inputs over as many sets as a cache could hold, within bounds", () => {
    expect([rotatedSets(100, 1000), rotatedSets(1001, 1000), rotatedSets(1, 1000), rotatedSets(5, 0)]).toEqual([
      10, 1, 32, 1,
    ]);
  });

  it.each(backends)("%s: run on the smallest shapes and leave nothing behind", async (backend) => {
    const device = new Device(backend, 0, 2);
    const used = device.memory().usedBytes;
    for (const { name, prepare } of kernelCases(benchShapes("simt"), device.computeDType())) {
      const tensors = new RandomTensors(device);
      const { call, restore } = prepare(tensors);
      call();
      restore?.();
      await expect(device.synchronize().then(() => name)).resolves.toBe(name);
      tensors.dispose();
    }
    expect(device.memory().usedBytes).toBeLessThanOrEqual(used); // less if what an earlier test left was collected
  });
});

describe("timeCalls", () => {
  it("enqueues every call equally often, and gives one number a batch", async () => {
    const device = new Device("cpu", 0, 1);
    using tensor = new Tensor(device, "f32", [4]);
    const counts = [0, 0];
    const calls = counts.map((_, i) => () => {
      counts[i]!++;
      native.fill(tensor, 1);
    });
    const times = await timeCalls(device, calls, { batchSeconds: 0, batches: 3 });
    expect(times).toHaveLength(3);
    expect(times.every((seconds) => seconds > 0)).toBe(true);
    expect(counts[0]).toBe(counts[1]);
  });

  it("takes the median", () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5]);
  });
});

it("the table has the ceilings and a line for every kernel", () => {
  const result: KernelBenchResult = {
    device: "d",
    backend: "cpu",
    dtype: "bf16",
    ceilings: { bytesPerSecond: 2e9, flopsPerSecond: 3e12 },
    kernels: [
      {
        name: "matmul",
        shape: { M: 8, op: "NT" },
        seconds: 2e-3,
        bytes: 10,
        flops: 3e9,
        bytesPerSecond: 5e3,
        flopsPerSecond: 1.5e12,
        fractionOfCeiling: 0.5,
        bound: "compute",
      },
    ],
  };
  expect(kernelTable(result).split("\n")).toEqual([
    "measured ceilings: copy 2.00 GB/s, products 3.00 TFLOP/s",
    "operation  shape          time       reached  of ceiling  bound by",
    "matmul     M=8 op=NT  2.000 ms  1.50 TFLOP/s      50.0 %  compute",
  ]);
});

// Whatever backends are under test: simt alone has shapes that take no time.
const simt = native.backends().some(({ name, available }) => name === "simt" && available);

(simt ? it : it.skip)("benchKernels times every case of a device", async () => {
  const device = Device.open("simt");
  const done: number[] = [];
  const { kernels } = await benchKernels(device, { onKernel: (count) => done.push(count) });
  expect(kernels).toHaveLength(kernelCases(benchShapes("simt"), "bf16").length);
  expect(done).toEqual(kernels.map((_, i) => i + 1));
});
