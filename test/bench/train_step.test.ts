import { afterEach, describe, expect, it, jest } from "@jest/globals";
import { benchTrainStep, type TrainBenchOptions } from "../../lib/bench/train_step.js";
import { parseRunConfig } from "../../lib/config/config.js";
import { resolveStages } from "../../lib/config/stages.js";
import { Device } from "../../lib/device.js";
import { native, Tensor } from "../../lib/native.js";
import { Llama } from "../../lib/nn/llama.js";
import { plannedBytes, planRun } from "../../lib/train/memory_plan.js";
import { peakFlops } from "../../lib/train/peak.js";
import { Stepper } from "../../lib/train/stepper.js";

// Rates of a machine that others use at the same time: one disturbance may be, but not every time.
jest.retryTimes(2);
afterEach(() => void jest.restoreAllMocks());

const device = Device.open("cpu");
const options = (hidden: number): TrainBenchOptions => ({
  model: {
    hidden_size: hidden,
    intermediate_size: 3 * hidden,
    num_hidden_layers: 2,
    num_attention_heads: hidden / 32,
    vocab_size: 512,
    max_position_embeddings: 128,
  },
  patchSize: 1,
  sequenceLength: 64,
  tokensPerStep: 256,
  precision: "fp32",
  steps: 2,
});

describe("peakFlops", () => {
  it("is the same in a process that has multiplied nothing yet and has much to do as when idle", async () => {
    using tensor = new Tensor(device, "f32", [2 ** 22]);
    const fill = () => native.normal(tensor, 1, 0, 0);
    fill();
    await device.synchronize();
    const start = performance.now();
    fill();
    await device.synchronize();
    // Half a second, more than is measured.
    const pending = Math.ceil(500 / (performance.now() - start));
    for (let done = 0; done < pending; done++) fill();
    const products = jest.spyOn(native, "matmul");
    const busy = (await peakFlops(device, "f32"))!;
    expect(products.mock.calls.length).toBeGreaterThan(5); // not the first alone
    const idle = (await peakFlops(device, "f32"))!;
    expect(busy).toBeGreaterThan(idle / 3);
    expect(busy).toBeLessThan(idle * 3);
  });
});

describe("benchTrainStep", () => {
  it("tells a utilisation that can be, and the run's own memory, whatever the process did before", async () => {
    const large = await benchTrainStep(device, options(512));
    const small = await benchTrainStep(device, options(128));
    for (const { mfu } of [large, small]) {
      expect(mfu).toBeGreaterThan(0);
      expect(mfu).toBeLessThan(1.5); // where others use the machine, the peak is not quite reached
    }
    const planned = (hidden: number) => {
      const { model, patchSize, sequenceLength, tokensPerStep, precision } = options(hidden);
      const config = parseRunConfig(
        {
          name: "planned",
          model,
          data: { train: "none" },
          stages: [{ patchSize }],
          batch: { tokensPerStep, sequenceLength },
          train: { steps: 1 },
          precision,
        },
        "planned",
      );
      const planned = { config: config.model!, dtype: "f32", recompute: "none" } as const;
      return plannedBytes(device, planRun(device, planned, resolveStages(config, tokensPerStep), null));
    };
    for (const [{ peakBytes }, hidden] of [
      [large, 512],
      [small, 128],
    ] as const) {
      expect(peakBytes).toBeGreaterThanOrEqual(planned(hidden));
      expect(peakBytes).toBeLessThan(1.05 * planned(hidden));
    }
  });

  it("leaves nothing open where it is broken off", async () => {
    const disposals = [jest.spyOn(Llama.prototype, "dispose"), jest.spyOn(Stepper.prototype, "dispose")];
    const broken = benchTrainStep(device, {
      ...options(128),
      onStep: () => {
        throw new Error("enough");
      },
    });
    await expect(broken).rejects.toThrow("enough");
    expect(disposals.map(({ mock }) => mock.calls.length)).toEqual([1, 1]);
  });
});
