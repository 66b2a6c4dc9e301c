/** A step's result must not depend on how it is cut into passes, and it allocates what was planned. */
import { describe, expect, it } from "@jest/globals";
import type { LlamaConfig } from "../../lib/hf/llama_config.js";
import { planBytes } from "../../lib/nn/buffers.js";
import { Llama } from "../../lib/nn/llama.js";
import { parameterLayout, parameterSpecs } from "../../lib/nn/parameters.js";
import { plannedBytes, planRun } from "../../lib/train/memory_plan.js";
import { Stepper } from "../../lib/train/stepper.js";
import { backends, open } from "../support/backends.js";
import { stepShape, stepsOf, stepTokens } from "../support/one_step.js";

const tokens = stepTokens(8 * 4 * 12);

const modelPlan = (config: LlamaConfig, dtype: "f32" | "bf16" = "f32") =>
  ({ config, dtype, recompute: "none" }) as const;

/** Loss, gradient norm and gradient of one step of eight sequences of 12 patches of 4 tokens. */
async function step(backend: (typeof backends)[number], precision: "fp32" | "bf16", microBatch: number) {
  const device = open(backend);
  const { shape, stages } = stepsOf({ patchSize: 4, tokens: tokens.length, sequenceLength: 12, microBatch });
  const plan = planRun(device, modelPlan(shape, precision === "bf16" ? "bf16" : "f32"), stages, null);
  await device.synchronize(); // what other steps have used is free
  device.trim(); // a cached block may be somewhat larger than what is asked for
  const before = device.memory().usedBytes;
  using model = Llama.create(shape, { device, precision, seed: 5 });
  const stepper = new Stepper(model, plan, stages, null);
  const used = device.memory().usedBytes - before;
  const { loss, gradNorm } = await stepper.step(0, tokens, 1e-3);
  const gradient = await stepper.optimizer.gradient.read();
  const { systemAllocations } = device.memory();
  await stepper.step(0, tokens, 1e-3);
  const grown = device.memory().systemAllocations - systemAllocations;
  const planned = plannedBytes(device, plan) - device.memory().workspaceBytes; // which was there before
  stepper.dispose();
  return { loss, gradNorm, gradient, used, planned, grown };
}

describe.each(backends)("a step on %s", (backend) => {
  it.each([
    { precision: "fp32", tolerance: 1e-5 },
    { precision: "bf16", tolerance: 2e-2 },
  ] as const)("has the same gradient in one pass, two or eight, in $precision", async ({ precision, tolerance }) => {
    const whole = await step(backend, precision, 8);
    for (const microBatch of [4, 1]) {
      const cut = await step(backend, precision, microBatch);
      expect(Math.abs(cut.loss / whole.loss - 1)).toBeLessThan(tolerance);
      expect(Math.abs(cut.gradNorm / whole.gradNorm - 1)).toBeLessThan(tolerance);
      const difference = Math.sqrt(cut.gradient.reduce((sum, g, i) => sum + (g - whole.gradient[i]!) ** 2, 0));
      expect(difference / whole.gradNorm).toBeLessThan(tolerance);
    }
  });

  it.each(["fp32", "bf16"] as const)("takes the memory that was planned, once, in %s", async (precision) => {
    const { used, planned, grown } = await step(backend, precision, 2);
    expect(grown).toBe(0);
    expect(used).toBeGreaterThanOrEqual(planned);
    // Each of some 60 tensors begins on an aligned address.
    expect(used - planned).toBeLessThan(60 * 512);
  });
});

describe("a memory plan", () => {
  it("costs a patch-level stage no more than a token-level one of as many positions", () => {
    const device = open("cpu");
    const bytes = (patchSize: number, tokens: number) => {
      const { shape, stages } = stepsOf({ patchSize, tokens, sequenceLength: 64 });
      return planBytes(planRun(device, modelPlan(shape), stages, null).passes.layers);
    };
    expect(bytes(4, 4096)).toBe(bytes(1, 1024));
  });

  it("takes smaller micro-batches where memory is short, and the smallest where none fits", () => {
    const device = open("cpu");
    const { shape, stages } = stepsOf({ patchSize: 1, tokens: 4096, sequenceLength: 64 });
    const planOf = (usableBytes?: number) => planRun(device, modelPlan(shape), stages, null, usableBytes);
    const sequences = (usableBytes?: number) => planOf(usableBytes).batches[0]!.sequences;
    const whole = plannedBytes(device, planOf());
    expect(sequences()).toBe(64);
    expect(sequences(whole)).toBe(64);
    expect(sequences(whole - 1)).toBe(32);
    expect(sequences(1)).toBe(1);
  });

  it("counts every parameter", () => {
    using model = Llama.create(stepShape, { device: open("cpu"), precision: "fp32" });
    const layout = parameterLayout(model.config);
    const counted = layout.slots.reduce((sum, { size }) => sum + size, 0);
    expect(counted).toBe(model.parameterCount);
    expect(planBytes(parameterSpecs(layout, "f32"))).toBe(4 * layout.size);
    expect(layout.size - counted).toBeLessThan(64 * layout.slots.length);
  });
});
