/** A custom loop: TrainingPass and AdamW compute the same as the trainer's steps. */
import { describe, expect, it } from "@jest/globals";
import { main as loop } from "../../examples/loop.js";
import { Tensor } from "../../lib/native.js";
import { Llama } from "../../lib/nn/llama.js";
import { TrainingPass } from "../../lib/nn/training_pass.js";
import { AdamW, type AdamWSettings } from "../../lib/optim/adamw.js";
import { planRun } from "../../lib/train/memory_plan.js";
import { Stepper } from "../../lib/train/stepper.js";
import { backends, cases, open } from "../support/backends.js";
import { stepShape, stepsOf, stepTokens } from "../support/one_step.js";

const cut = { sequences: 2, positions: 12, patchSize: 4 };
const half = cut.sequences * cut.positions * cut.patchSize;
const tokens = stepTokens(2 * half);
const settings = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, gradClip: 1 } as const;

describe.each(backends)("TrainingPass on %s", (backend) => {
  const device = open(backend);

  it("takes the steps that the trainer takes, bit for bit", async () => {
    const { positions: sequenceLength, sequences: microBatch, patchSize } = cut;
    const { stages } = stepsOf({ patchSize, tokens: tokens.length, sequenceLength, microBatch });
    using theirs = Llama.create(stepShape, { device, precision: "fp32", seed: 5 });
    const planned = { config: theirs.config, dtype: "f32", recompute: "none" } as const;
    const stepper = new Stepper(theirs, planRun(device, planned, stages, null), stages, null);
    using ours = Llama.create(stepShape, { device, precision: "fp32", seed: 5 });
    using optimizer = new AdamW(ours.parameters);
    using pass = new TrainingPass(ours, optimizer.gradient, { ...cut, share: 1 / 2 });
    for (let step = 0; step < 3; step++) {
      const expected = await stepper.step(0, tokens, 1e-3);
      optimizer.zeroGradient();
      pass.run(tokens.subarray(0, half));
      pass.run(tokens.subarray(half), { accumulate: true });
      optimizer.step(1e-3, settings);
      expect((await pass.loss.read())[0]).toBe(expected.loss);
      expect((await optimizer.norm.read())[0]).toBe(expected.gradNorm);
    }
    expect(await ours.parameters.master.read()).toEqual(await theirs.parameters.master.read());
    stepper.dispose();
  });

  it("steps on after a gradient that is not finite as if it had not been", async () => {
    const train = async (poisoned: boolean) => {
      using model = Llama.create(stepShape, { device, precision: "fp32", seed: 5 });
      using optimizer = new AdamW(model.parameters);
      using pass = new TrainingPass(model, optimizer.gradient, cut);
      for (let step = 0; step < 4; step++) {
        if (poisoned && step === 2) {
          optimizer.zeroGradient();
          pass.run(tokens.subarray(half));
          optimizer.gradient.narrow(0, 3, 1).write(Float32Array.of(Number.NaN));
          optimizer.step(1e-3, settings);
        }
        optimizer.zeroGradient();
        pass.run(tokens.subarray(0, half));
        optimizer.step(1e-3, settings);
      }
      expect(await optimizer.stepsTaken.read()).toEqual(Int32Array.of(4));
      return [model.parameters.master, optimizer.firstMoment, optimizer.secondMoment].map((tensor) => tensor.read());
    };
    expect(await Promise.all(await train(true))).toEqual(await Promise.all(await train(false)));
  });

  it("goes on with the same bits where moments and count are restored", async () => {
    using model = Llama.create(stepShape, { device, precision: "fp32", seed: 5 });
    using first = new AdamW(model.parameters);
    const step = (optimizer: AdamW) => {
      using pass = new TrainingPass(model, optimizer.gradient, cut);
      optimizer.zeroGradient();
      pass.run(tokens.subarray(0, half));
      optimizer.step(1e-3, settings);
    };
    for (let count = 0; count < 3; count++) step(first);
    using second = new AdamW(model.parameters);
    for (const name of ["firstMoment", "secondMoment"] as const) second[name].write(await first[name].read());
    second.stepsTaken.write(await first.stepsTaken.read());
    const saved = await model.parameters.master.read();
    step(first);
    const expected = await model.parameters.master.read();
    model.parameters.master.write(saved);
    step(second);
    expect(await model.parameters.master.read()).toEqual(expected);
  });

  it("weighs labels as it is told", async () => {
    using model = Llama.create(stepShape, { device, precision: "fp32", seed: 5 });
    using optimizer = new AdamW(model.parameters);
    const loss = async (labelWeights?: readonly number[]) => {
      using pass = new TrainingPass(model, optimizer.gradient, { ...cut, ...(labelWeights && { labelWeights }) });
      pass.run(tokens.subarray(0, half));
      return (await pass.loss.read())[0]!;
    };
    expect(await loss([1 / 4, 1 / 4, 1 / 4, 1 / 4])).toBe(await loss());
    expect(await loss([1 / 2, 1 / 2, 1 / 2, 1 / 2])).toBeCloseTo(2 * (await loss()), 5);
    expect(await loss([1, 0, 0, 0])).not.toBe(await loss());
  });

  it("takes ids as a Uint32Array, and its optimizer the config's settings where none are given", async () => {
    const train = async (ids: Int32Array | Uint32Array, ...given: Partial<AdamWSettings>[]) => {
      using again = Llama.create(stepShape, { device, precision: "fp32", seed: 5 });
      using optimizer = new AdamW(again.parameters);
      using pass = new TrainingPass(again, optimizer.gradient, cut);
      pass.run(ids);
      optimizer.step(1e-3, ...given);
      return again.parameters.master.read();
    };
    const ids = tokens.subarray(0, half);
    const defaults = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, gradClip: 1 } as const;
    const expected = await train(ids, defaults);
    expect(await train(Uint32Array.from(ids))).toEqual(expected);
    expect(await train(ids, { gradClip: 1 })).toEqual(expected);
    expect(await train(ids, { weightDecay: 0 })).not.toEqual(expected);
    using model = Llama.create(stepShape, { device, precision: "fp32", seed: 5 });
    using optimizer = new AdamW(model.parameters);
    using pass = new TrainingPass(model, optimizer.gradient, cut);
    const moved = Uint32Array.from(ids);
    structuredClone(moved.buffer, { transfer: [moved.buffer] });
    expect(() => pass.run(moved)).toThrow(/^TrainingPass\.run: tokens: expected .* ids but received 0$/);
    pass.run(new Uint32Array(half).fill(2 ** 32 - 1));
    await expect(device.synchronize()).rejects.toThrow(RangeError);
  });

  it("frees what it took", async () => {
    using model = Llama.create(stepShape, { device, precision: "fp32" });
    await device.synchronize(); // what other tests have used is free
    const used = () => device.memory().usedBytes;
    const before = used();
    const optimizer = new AdamW(model.parameters);
    const between = used();
    const pass = new TrainingPass(model, optimizer.gradient, cut);
    pass.run(tokens.subarray(0, half));
    await device.synchronize();
    expect(used() - between).toBeGreaterThan(4 * half * stepShape.hidden_size);
    pass.dispose();
    expect(used()).toBe(between);
    expect(between - before).toBeGreaterThan(3 * 4 * model.parameterCount);
    optimizer.dispose();
    expect(used()).toBe(before);
  });

  it("says what is wrong with an argument", async () => {
    using model = Llama.create(stepShape, { device, precision: "fp32" });
    using optimizer = new AdamW(model.parameters);
    const { gradient } = optimizer;
    const refused = (body: () => unknown, message: string | RegExp) => expect(body).toThrow(message);
    const make =
      (batch: unknown, flat: Tensor = gradient) =>
      () =>
        new TrainingPass(model, flat as Tensor<"f32">, batch as typeof cut);
    refused(make(null), "TrainingPass: batch: expected an object but received null");
    refused(
      make({ ...cut, sequences: 0 }),
      /^TrainingPass: sequences: expected a whole number from 1 .* but received 0$/,
    );
    refused(make({ ...cut, positions: 65 }), "positions: expected a whole number from 2 to 64 but received 65");
    refused(make({ ...cut, patchSize: "4" }), /^TrainingPass: patchSize: expected .* but received the string "4"$/);
    refused(make({ ...cut, share: NaN }), "TrainingPass: share: expected a finite number but received NaN");
    refused(make({ ...cut, labelWeights: [1] }), /^TrainingPass: labelWeights: expected 4 numbers .* but received 1$/);
    const small = new Tensor(device, "f32", [3]);
    refused(make(cut, small), /^TrainingPass: gradient: expected shape \[\d+\] but received \[3\]$/);
    using pass = new TrainingPass(model, gradient, cut);
    refused(
      () => pass.run(tokens),
      `TrainingPass.run: tokens: expected sequences * positions * patchSize = ${half} ids`,
    );
    refused(
      () => pass.run([1] as never),
      "TrainingPass.run: tokens: expected an Int32Array or a Uint32Array but received an array",
    );
    refused(() => new AdamW(model as never), "AdamW: parameters: expected a Parameters but received another object");
    for (const [key, value] of Object.entries({ betas: [1, 0.9], eps: 0, weightDecay: -1, gradClip: 0 })) {
      const wrong = { ...settings, [key]: value } as typeof settings;
      refused(() => optimizer.step(1e-3, wrong), new RegExp(`^AdamW.step: ${key}`));
    }
    refused(make({ ...cut, labelWeights: [1, NaN, 0, 0] }), "TrainingPass: labelWeights[1]: expected a finite number");
    refused(() => new TrainingPass({} as never, gradient, cut), "TrainingPass: model: expected a Llama but received");
    refused(() => pass.run(tokens.subarray(half), { accumulate: 1 as never }), "accumulate: expected a boolean");
    refused(() => optimizer.step(NaN, settings), "AdamW.step: learningRate: expected a finite number but received NaN");
    expect(await optimizer.stepsTaken.read()).toEqual(Int32Array.of(0));
    pass.dispose();
    optimizer.dispose();
    refused(
      () => pass.run(tokens.subarray(half)),
      "TrainingPass.run: this: expected a live pass but received a disposed",
    );
    refused(
      () => optimizer.step(1e-3, settings),
      "AdamW.step: this: expected a live optimizer but received a disposed",
    );
  });

  it("trains in the example's loop, in both of its stages", async () => {
    if (cases(backend, [true], [false])[0] === false) return; // the steps above are enough for the simulated device
    const losses = await loop(device);
    expect(losses).toHaveLength(60);
    expect(losses[0]).toBeCloseTo(Math.log(97), 1);
    expect(losses[29]).toBeLessThan(2.2);
    expect(losses[59]).toBeLessThan(1.5);
  });
});
