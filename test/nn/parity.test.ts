/**
 * Loss and gradients against Hugging Face's LlamaForCausalLM with the method's inputs and labels: the numbers in
 * test/fixtures/hf come from test/fixtures/make_fixtures.py.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "@jest/globals";
import { Device } from "../../lib/device.js";
import { native, Tensor } from "../../lib/native.js";
import { Llama } from "../../lib/nn/llama.js";
import { TrainingPass } from "../../lib/nn/training_pass.js";
import { AdamW } from "../../lib/optim/adamw.js";
import { backends } from "../support/backends.js";

interface Samples {
  norm: number;
  stride: number;
  values: number[];
}
interface Case {
  patchSize: number;
  tokens: number[][];
  loss: number;
  loss64: number;
  gradients: Record<string, Samples>;
}
interface Training {
  optimizer: { lr: number; betas: [number, number]; eps: number; weightDecay: number; gradClip: number };
  stages: { patchSize: number; steps: { tokens: number[][]; loss: number; gradNorm: number }[] }[];
  parameters: Record<string, Samples>;
}

const folder = (variant: string) => fileURLToPath(new URL(`../fixtures/hf/${variant}`, import.meta.url));
const read = <T>(variant: string, file: string) => JSON.parse(readFileSync(`${folder(variant)}/${file}`, "utf8")) as T;

/** A pass over batches of the shape that `tokens` has. */
function passOver(model: Llama, gradient: Tensor<"f32">, tokens: number[][], patchSize: number): TrainingPass {
  const cut = { sequences: tokens.length, positions: tokens[0]!.length / patchSize, patchSize };
  return new TrainingPass(model, gradient, cut);
}

function norm(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

const lossTolerance = 1e-5;
const gradientTolerance = 1e-4;
const trainingTolerance = 1e-3;
const parameterTolerance = 2e-4;

describe.each(backends)("parity with Hugging Face on %s", (backend) => {
  const device = Device.open(backend);
  afterAll(() => device.trim());

  const variants = ["untied", "tied", "gqa", "bf16"];
  const cases = variants.flatMap((variant) =>
    read<{ cases: Case[] }>(variant, "reference.json").cases.map((reference) => ({
      variant,
      reference,
      patchSize: reference.patchSize,
    })),
  );

  it.each(cases)("$variant, K = $patchSize: loss and every gradient", async ({ variant, reference }) => {
    const { patchSize, tokens, loss64, gradients } = reference;
    using model = await Llama.load(folder(variant), { device, precision: "fp32" });
    const { layout } = model.parameters;
    const gradient = new Tensor(device, "f32", [layout.size]);
    native.fill(gradient, 0);
    const pass = passOver(model, gradient, tokens, patchSize);
    pass.run(Int32Array.from(tokens.flat()));
    const [loss] = await pass.loss.read();
    expect(Math.abs(loss! - loss64)).toBeLessThan(lossTolerance * loss64);
    expect(new Set(layout.slots.map(({ name }) => name))).toEqual(new Set(Object.keys(gradients)));
    for (const { name, size } of layout.slots) {
      const expected = gradients[name]!;
      const found = await model.parameters.view(gradient, name).read();
      expect(Math.abs(norm(found) - expected.norm) / expected.norm).toBeLessThan(gradientTolerance);
      const typical = expected.norm / Math.sqrt(size);
      expected.values.forEach((value, index) => {
        const difference = Math.abs(found[index * expected.stride]! - value);
        expect(difference).toBeLessThanOrEqual(gradientTolerance * Math.max(Math.abs(value), typical));
      });
    }
    pass.dispose();
    gradient.dispose();
  });

  it.each(["untied", "tied"])("%s: 20 AdamW steps in two stages follow PyTorch's", async (variant) => {
    const { optimizer: settings, stages, parameters } = read<Training>(variant, "training.json");
    using model = await Llama.load(folder(variant), { device, precision: "fp32" });
    const optimizer = new AdamW(model.parameters);
    for (const { patchSize, steps } of stages) {
      const pass = passOver(model, optimizer.gradient, steps[0]!.tokens, patchSize);
      optimizer.reset();
      for (const { tokens, loss, gradNorm } of steps) {
        optimizer.zeroGradient();
        pass.run(Int32Array.from(tokens.flat()));
        optimizer.step(settings.lr, settings);
        const [[found], [foundNorm]] = await Promise.all([pass.loss.read(), optimizer.norm.read()]);
        expect(Math.abs(found! - loss) / loss).toBeLessThan(trainingTolerance);
        expect(Math.abs(foundNorm! - gradNorm) / gradNorm).toBeLessThan(trainingTolerance);
      }
      pass.dispose();
    }
    for (const [name, expected] of Object.entries(parameters)) {
      const found = norm(await model.parameters.view(model.parameters.master, name).read());
      // Tight enough that a missing weight decay shows.
      expect(Math.abs(found - expected.norm) / expected.norm).toBeLessThan(parameterTolerance);
    }
    optimizer.dispose();
  });
});
