/** Labels that do not count: loss and gradient by formula, whatever the micro-batch. */
import { describe, expect, it } from "@jest/globals";
import { countLabels } from "../../lib/nn/label_mask.js";
import { Llama } from "../../lib/nn/llama.js";
import { type TrainingBatch, TrainingPass, type TrainingRunOptions } from "../../lib/nn/training_pass.js";
import { AdamW } from "../../lib/optim/adamw.js";
import { planRun } from "../../lib/train/memory_plan.js";
import { Stepper } from "../../lib/train/stepper.js";
import { backends, cases, open } from "../support/backends.js";
import { relativeError } from "../support/closeness.js";
import { madeMask } from "../support/made_mask.js";
import { stepShape, stepsOf, stepTokens } from "../support/one_step.js";

const { vocab_size: vocabulary } = stepShape;

/** Eight sequences of 12 patches of 4 tokens, or four of 24 of 4, or eight of 48 of one. */
const tokens = stepTokens(8 * 4 * 12);
const mask = madeMask(tokens.length, 3);
// A sequence without a label, and one in whose first patch alone any counts.
mask.fill(0, 48, 96);
mask.fill(0, 144, 192).fill(1, 144, 145);

/** The label weights of a patch, and how a batch is cut. */
const cuts = [
  { sequences: 8, positions: 48, patchSize: 1 },
  { sequences: 8, positions: 12, patchSize: 4 },
  { sequences: 8, positions: 12, patchSize: 4, labelWeights: [0.4, 0.3, 0.2, 0.1] },
];

/**
 * The loss from logits, in double precision. At K = 1 it is PyTorch's `cross_entropy(logits, labels, ignore_index)`: the sum
 * over the labels that count by their number.
 */
function lossOf(
  logits: Float32Array,
  counts: Uint8Array,
  { sequences, positions, patchSize, labelWeights }: TrainingBatch,
) {
  const weights = labelWeights ?? Array.from({ length: patchSize }, () => 1 / patchSize);
  let [sum, labels] = [0, 0];
  for (let sequence = 0; sequence < sequences; sequence++) {
    for (let position = 0; position + 1 < positions; position++) {
      const row = sequence * positions + position;
      const values = logits.subarray(row * vocabulary, (row + 1) * vocabulary);
      const logSum = Math.log(values.reduce((total, value) => total + Math.exp(value), 0));
      for (let j = 0; j < patchSize; j++) {
        const at = (row + 1) * patchSize + j;
        if (counts[at] === 0) continue;
        labels++;
        sum += patchSize * weights[j]! * (logSum - values[tokens[at]!]!);
      }
    }
  }
  return { loss: sum / labels, labels };
}

describe.each(backends)("a loss mask on %s", (backend) => {
  const device = open(backend);
  const chosen = cases(backend, cuts, cuts.slice(2));
  const created = () => Llama.create(stepShape, { device, precision: "fp32", seed: 5 });

  /** Loss and gradient of the tokens in passes of so many sequences. */
  async function run(cut: TrainingBatch, passes: number, options: (part: Uint8Array) => TrainingRunOptions) {
    using model = created();
    using optimizer = new AdamW(model.parameters);
    const sequences = cut.sequences / passes;
    using pass = new TrainingPass(model, optimizer.gradient, { ...cut, sequences, share: 1 / passes });
    const size = tokens.length / passes;
    for (let index = 0; index < passes; index++) {
      const part = [index * size, (index + 1) * size] as const;
      pass.run(tokens.subarray(...part), { accumulate: index > 0, ...options(mask.subarray(...part)) });
    }
    const [loss] = await pass.loss.read();
    return { loss: loss!, gradient: await optimizer.gradient.read() };
  }

  it.each(chosen)("leaves labels out of the loss: $sequences x $positions x $patchSize, $labelWeights", async (cut) => {
    using model = created();
    const rows = Array.from({ length: 8 }, (_, row) => tokens.subarray(48 * row, 48 * (row + 1)));
    using logits = model.forward(rows, { patchSize: cut.patchSize }).logits;
    const expected = lossOf(await logits.read(), mask, cut);
    const { loss } = await run(cut, 1, (part) => ({ mask: part }));
    expect(Math.abs(loss / expected.loss - 1)).toBeLessThan(1e-6);
    expect(countLabels(mask, cut).labels).toBe(expected.labels);
    expect(expected.labels).toBeLessThan(0.6 * tokens.length);
  });

  it.each(chosen)("parts the loss and its gradient by labels: $patchSize, $labelWeights", async (cut) => {
    // What counts and what does not are the whole loss together, each by its number of labels.
    const one = await run(cut, 1, (part) => ({ mask: part }));
    const other = await run(cut, 1, (part) => ({ mask: part.map((counts) => 1 - counts) }));
    const whole = await run(cut, 1, () => ({}));
    const { labels, scale } = countLabels(mask, cut);
    const [a, b] = [1 / scale, 1 - 1 / scale];
    expect(a).toBeCloseTo(
      labels /
        (labels +
          countLabels(
            mask.map((counts) => 1 - counts),
            cut,
          ).labels),
      12,
    );
    expect(Math.abs((a * one.loss + b * other.loss) / whole.loss - 1)).toBeLessThan(1e-6);
    const sum = one.gradient.map((value, index) => a * value + b * other.gradient[index]!);
    expect(relativeError(sum, whole.gradient)).toBeLessThan(1e-5);
    expect(relativeError(one.gradient, whole.gradient)).toBeGreaterThan(0.1);
  });

  it.each(chosen)("has the same loss and gradient in one pass, two or four: $patchSize, $labelWeights", async (cut) => {
    const { labels } = countLabels(mask, cut);
    const whole = await run(cut, 1, (part) => ({ mask: part }));
    for (const passes of [1, 2, 4]) {
      const parts = await run(cut, passes, (part) => ({ mask: part, labels }));
      expect(Math.abs(parts.loss / whole.loss - 1)).toBeLessThan(1e-6);
      expect(relativeError(parts.gradient, whole.gradient)).toBeLessThan(1e-6);
    }
  });

  it.each(chosen)("that leaves nothing out changes no bit: $patchSize, $labelWeights", async (cut) => {
    for (const passes of [1, 2]) {
      expect(await run(cut, passes, (part) => ({ mask: new Uint8Array(part.length).fill(1) }))).toEqual(
        await run(cut, passes, () => ({})),
      );
    }
  });

  it("that leaves everything out gives no loss and no gradient, and is forgotten by the next run", async () => {
    using model = created();
    using optimizer = new AdamW(model.parameters);
    using pass = new TrainingPass(model, optimizer.gradient, cuts[1]!);
    pass.run(tokens);
    const [loss] = await pass.loss.read();
    const gradient = await optimizer.gradient.read();
    for (const options of [{}, { labels: 0 }]) {
      optimizer.zeroGradient();
      pass.run(tokens, { mask: new Uint8Array(mask.length), ...options });
      expect(await pass.loss.read()).toEqual(Float32Array.of(0));
      expect((await optimizer.gradient.read()).every((value) => value === 0)).toBe(true);
    }
    expect(pass.countLabels(new Uint8Array(mask.length))).toBe(0);
    const own = pass.countLabels(mask);
    expect(() => pass.run(tokens, { mask, labels: own - 1 })).toThrow(
      `labels: expected the step's number of labels, at least the ${own} of this batch, but received ${own - 1}`,
    );
    optimizer.zeroGradient();
    pass.run(tokens);
    expect((await pass.loss.read())[0]).toBe(loss);
    expect(await optimizer.gradient.read()).toEqual(gradient);
  });

  it("is the trainer's: in micro-batches of any size, with the loss of the whole step", async () => {
    const step = async (microBatch: number, counts: Uint8Array | null, masked = true) => {
      const { stages } = stepsOf({ patchSize: 4, tokens: tokens.length, sequenceLength: 12, microBatch });
      using model = created();
      const planned = { config: model.config, dtype: "f32", recompute: "none", masked } as const;
      using stepper = new Stepper(model, planRun(device, planned, stages, null), stages, null);
      const ahead = Int32Array.from(tokens);
      const first = await stepper.step(0, tokens, 1e-3, Promise.resolve(ahead), null, () => counts);
      const gradient = await stepper.optimizer.gradient.read();
      // The second one is recorded, and has been sent ahead.
      const second = await stepper.step(0, ahead, 1e-3, null, null, () => counts);
      return { first, second, gradient };
    };
    const whole = await step(8, mask);
    const cut = cuts[1]!;
    const own = await run(cut, 1, (part) => ({ mask: part }));
    expect(whole.first.loss).toBe(own.loss);
    expect(whole.first.labels).toBe(countLabels(mask, cut).labels);
    expect(whole.second.loss).toBeLessThan(whole.first.loss);
    for (const microBatch of [4, 2, 1]) {
      const { first, second, gradient } = await step(microBatch, mask);
      expect(Math.abs(first.loss / whole.first.loss - 1)).toBeLessThan(1e-6);
      expect(Math.abs(second.loss / whole.second.loss - 1)).toBeLessThan(2e-6);
      expect(relativeError(gradient, whole.gradient)).toBeLessThan(1e-6);
    }
    const plain = await step(2, null, false);
    const ones = await step(2, new Uint8Array(mask.length).fill(1));
    const result = ({ seconds: _s, labels: _l, ...rest }: (typeof ones)["first"]) => rest;
    expect([result(ones.first), result(ones.second)]).toEqual([result(plain.first), result(plain.second)]);
    expect(ones.gradient).toEqual(plain.gradient);
    expect([plain.first.labels, ones.first.labels]).toEqual([null, 8 * 11 * 4]);
  });
});
