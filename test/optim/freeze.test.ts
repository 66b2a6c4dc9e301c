/** Frozen parameters; the numbers in test/fixtures/frozen.json come from test/fixtures/make_frozen.py. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { Llama } from "../../lib/nn/llama.js";
import { TrainingPass } from "../../lib/nn/training_pass.js";
import { AdamW } from "../../lib/optim/adamw.js";
import { Muon } from "../../lib/optim/muon.js";
import { backends, open } from "../support/backends.js";
import { changed, read } from "../support/parameters.js";

interface Reference {
  readonly optimizer: { lr: number; betas: [number, number]; eps: number; weightDecay: number; gradClip: number };
  readonly batches: number[][][];
  readonly steps: { loss: number; gradNorm: number }[];
  readonly parameters: Record<string, { norm: number; stride: number; values: number[] }>;
}
const fixtures = join(import.meta.dirname, "../fixtures");
const reference = JSON.parse(readFileSync(join(fixtures, "frozen.json"), "utf8")) as Reference;
const freeze = ["model.embed_tokens.weight", "model.layers.0.*", "*.1.*k_proj*", "model.norm.weight"];

describe.each(backends)("frozen parameters on %s", (backend) => {
  const device = open(backend);
  const load = () => Llama.load(join(fixtures, "hf/untied"), { device, precision: "fp32" });
  const settings = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, gradClip: null } as const;
  const muonSettings = {
    ...settings,
    muon: { momentum: 0.9, nesterov: true, nsSteps: 3, adjustLr: "original" },
  } as const;

  it("are the same bits after 20 steps of AdamW, and the others PyTorch's with the same frozen", async () => {
    using model = await load();
    const before = await read(model);
    using optimizer = new AdamW(model.parameters, { freeze });
    const { batches, steps, optimizer: own } = reference;
    const cut = { sequences: batches[0]!.length, positions: batches[0]![0]!.length, patchSize: 1 };
    using pass = new TrainingPass(model, optimizer.gradient, cut);
    for (const [index, { loss, gradNorm }] of steps.entries()) {
      optimizer.zeroGradient();
      pass.run(Int32Array.from(batches[index % 2]!.flat()));
      optimizer.step(own.lr, own);
      const [[found], [norm]] = await Promise.all([pass.loss.read(), optimizer.norm.read()]);
      expect(Math.abs(found! - loss)).toBeLessThan(1e-4 * loss);
      expect(Math.abs(norm! - gradNorm)).toBeLessThan(1e-3 * gradNorm);
    }
    const after = await read(model);
    const trained = Object.keys(reference.parameters);
    expect(changed(before, after).sort()).toEqual(trained.sort());
    for (const [name, { norm, stride, values }] of Object.entries(reference.parameters)) {
      const found = after.get(name)!;
      expect(Math.abs(Math.hypot(...found) - norm)).toBeLessThan(1e-5 * norm);
      const typical = norm / Math.sqrt(found.length);
      for (const [i, value] of values.entries()) {
        expect(Math.abs(found[i * stride]! - value)).toBeLessThan(1e-3 * Math.max(Math.abs(value), typical));
      }
    }
    expect(new Set(await optimizer.stepsTaken.read())).toEqual(new Set([steps.length]));
  });

  it("are the same bits with Muon, and the others' first step is that without any frozen", async () => {
    const stepped = async (patterns: string[]) => {
      using model = await load();
      const before = await read(model);
      using optimizer = new Muon(model.parameters, { freeze: patterns });
      const cut = { sequences: 2, positions: 8, patchSize: 1 };
      using pass = new TrainingPass(model, optimizer.gradient, cut);
      pass.run(Int32Array.from({ length: 16 }, (_, i) => (i * 7) % 50));
      optimizer.step({ adamw: 1e-2, muon: 1e-2 }, muonSettings);
      return { before, after: await read(model) };
    };
    const all = await stepped([]);
    expect(changed(all.before, all.after).length).toBe(all.before.size);
    const { before, after } = await stepped(freeze);
    const trained = changed(before, after);
    expect(trained.sort()).toEqual(Object.keys(reference.parameters).sort());
    for (const name of trained) {
      const difference = after.get(name)!.map((value, i) => Math.abs(value - all.after.get(name)![i]!));
      expect(Math.max(...difference)).toBeLessThan(1e-6);
    }
    const matrices = await stepped(["model.embed_tokens.weight", "lm_head.weight", "*norm.weight"]);
    expect(changed(matrices.before, matrices.after).length).toBe(2 * 7);
    const others = await stepped(["model.layers.*_proj.weight"]);
    expect(changed(others.before, others.after).length).toBe(2 + 2 * 2 + 1);
  });

  it("are named by patterns that match", async () => {
    using model = await load();
    const { parameters } = model;
    const expected = "expected a parameter's name, or a pattern that matches one, such as";
    expect(() => new AdamW(parameters, { freeze: ["model.norm.weight", "model.norm.wieght"] })).toThrow(
      `AdamW: freeze[1]: ${expected} model.norm.weight, but received the string "model.norm.wieght"`,
    );
    expect(() => new Muon(parameters, { freeze: ["model.layers.2.*"] })).toThrow(`Muon: freeze[0]: ${expected} model.`);
    expect(() => new AdamW(parameters, { freeze: ["*"] })).toThrow(
      "AdamW: freeze: expected patterns that leave a parameter to train but received patterns that match all",
    );
    const slow = `${"*e".repeat(60)}*x`;
    expect(() => new AdamW(parameters, { freeze: [slow] })).toThrow(RangeError);
  });
});
