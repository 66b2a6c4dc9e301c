/**
 * Every architecture against transformers: loss, gradients and greedy continuations. The numbers in
 * test/fixtures/architectures come from test/fixtures/make_architectures.py.
 */
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { Device } from "../../lib/device.js";
import { native, Tensor } from "../../lib/native.js";
import { Decoder } from "../../lib/nn/decoder.js";
import { Llama } from "../../lib/nn/llama.js";
import { TrainingPass } from "../../lib/nn/training_pass.js";
import { backends } from "../support/backends.js";

interface Reference {
  cases: {
    patchSize: number;
    tokens: number[][];
    loss: number;
    gradients: Record<string, { norm: number; stride: number; values: number[] }>;
  }[];
  prompt?: number[];
  generated?: number[];
}

const root = fileURLToPath(new URL("../fixtures/architectures", import.meta.url));
const variants = readdirSync(root).map((variant) => {
  const folder = join(root, variant);
  return { variant, folder, reference: JSON.parse(readFileSync(join(folder, "reference.json"), "utf8")) as Reference };
});

const lossTolerance = 1e-6;
const gradientTolerance = 1e-4;

const greedy = { repetitionPenalty: 1, temperature: 0, topK: 0, topP: 1, minP: 0, seed: 0 };

const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

/** Loss and gradient, and what a pass with this `recompute` gives. */
async function trained(
  model: Llama,
  tokens: number[][],
  patchSize: number,
  recompute: "none" | "elementwise" | "block",
) {
  const { layout } = model.parameters;
  const gradient = new Tensor(model.device, "f32", [layout.size]);
  native.fill(gradient, 0);
  const cut = { sequences: tokens.length, positions: tokens[0]!.length / patchSize, patchSize, recompute };
  using pass = new TrainingPass(model, gradient, cut);
  pass.run(Int32Array.from(tokens.flat()));
  const [loss] = await pass.loss.read();
  const values = await gradient.read();
  gradient.dispose();
  return { loss: loss!, gradient: values };
}

describe.each(backends)("architectures on %s", (backend) => {
  const device = Device.open(backend);

  const cases = variants.flatMap(({ variant, folder, reference }) =>
    reference.cases.map((numbers) => ({ variant, folder, numbers, patchSize: numbers.patchSize })),
  );
  it.each(cases)("$variant, K = $patchSize: loss and every gradient", async ({ folder, numbers, patchSize }) => {
    using model = await Llama.load(folder, { device, precision: "fp32" });
    const { loss, gradient } = await trained(model, numbers.tokens, patchSize, "none");
    expect(Math.abs(loss - numbers.loss)).toBeLessThan(lossTolerance * numbers.loss);
    const { slots } = model.parameters.layout;
    expect(new Set(slots.map(({ name }) => name))).toEqual(new Set(Object.keys(numbers.gradients)));
    // A gradient that is nothing but rounding, such as that of a bias of keys, which softmax takes out.
    const largest = Math.max(...Object.values(numbers.gradients).map((expected) => expected.norm));
    for (const { name, offset, size } of slots) {
      const expected = numbers.gradients[name]!;
      const found = gradient.subarray(offset, offset + size);
      const scale = Math.max(expected.norm, 1e-3 * largest);
      expect(Math.abs(norm(found) - expected.norm)).toBeLessThan(gradientTolerance * scale);
      const typical = scale / Math.sqrt(size);
      for (const [index, value] of expected.values.entries()) {
        const difference = Math.abs(found[index * expected.stride]! - value);
        expect(difference).toBeLessThanOrEqual(gradientTolerance * Math.max(Math.abs(value), typical));
      }
    }
    for (const recompute of ["elementwise", "block"] as const) {
      const again = await trained(model, numbers.tokens, patchSize, recompute);
      expect(again.loss).toBe(loss);
      expect(Buffer.from(again.gradient.buffer).equals(Buffer.from(gradient.buffer))).toBe(true);
    }
  });

  const continued = variants.filter(({ reference }) => reference.prompt !== undefined);
  it.each(continued)("$variant goes on as in transformers, token by token", async ({ folder, reference }) => {
    using model = await Llama.load(folder, { device, precision: "fp32" });
    const { prompt, generated } = reference as Required<Reference>;
    using decoder = new Decoder(model, prompt.length + generated.length);
    const found: number[] = [];
    let next = Int32Array.from(prompt);
    for (const _ of generated) {
      found.push(await decoder.next(next, greedy));
      next = Int32Array.of(found.at(-1)!);
    }
    expect(found).toEqual(generated);
  });
});

describe("architectures", () => {
  const device = Device.open("cpu");

  it.each(variants)("$variant is the same model after it was saved", async ({ folder }) => {
    using model = await Llama.load(folder, { device, precision: "fp32" });
    const target = join(mkdtempSync(join(tmpdir(), "nextpatch-")), "model");
    await model.save(target, { base: folder });
    using saved = await Llama.load(target, { device, precision: "fp32" });
    expect(saved.config).toEqual(model.config);
    expect(await saved.parameters.master.read()).toEqual(await model.parameters.master.read());
    const alone = join(mkdtempSync(join(tmpdir(), "nextpatch-")), "model");
    await model.save(alone);
    using fresh = await Llama.load(alone, { device, precision: "fp32" });
    expect(fresh.config).toEqual(model.config);
  });
});
