import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { Device } from "../../lib/device.js";
import { parameterTable } from "../../lib/hf/names.js";
import { SafetensorsFile } from "../../lib/hf/safetensors.js";
import type { Tensor } from "../../lib/native.js";
import { planBytes } from "../../lib/nn/buffers.js";
import { Llama } from "../../lib/nn/llama.js";
import { AdamW } from "../../lib/optim/adamw.js";
import { Frozen } from "../../lib/optim/frozen.js";
import { Muon, muonSpecs } from "../../lib/optim/muon.js";
import { isHidden } from "../../lib/optim/muon_layout.js";
import type { MuonRates, MuonSettings } from "../../lib/optim/muon_settings.js";
import { backends, open } from "../support/backends.js";
import { relativeError } from "../support/closeness.js";
import { madeConfig } from "../support/made_run.js";

/** The model of test/fixtures/make_muon.py. */
const shape = {
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 16,
  vocab_size: 20,
  tie_word_embeddings: false,
};

const common = { betas: [0.9, 0.95], eps: 1e-8, gradClip: null } as const;
const cases: Record<string, { rates: MuonRates; settings: MuonSettings }> = {
  original: {
    rates: { adamw: 3e-3, muon: 0.02 },
    settings: {
      ...common,
      weightDecay: 0.1,
      muon: { momentum: 0.95, nesterov: true, nsSteps: 5, adjustLr: "original" },
    },
  },
  match: {
    rates: { adamw: 3e-3, muon: 3e-3 },
    settings: {
      ...common,
      weightDecay: 0,
      muon: { momentum: 0.8, nesterov: false, nsSteps: 4, adjustLr: "matchRmsAdamw" },
    },
  },
};

/** As `numbers` in make_muon.py. */
function numbers(seed: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => {
    let word = (Math.imul(i + 1, 2654435761) + Math.imul(seed, 2246822519)) >>> 0;
    word = Math.imul(word ^ (word >>> 15), 2246822519) >>> 0;
    word ^= word >>> 13;
    return ((word >>> 16) / 2 ** 15 - 1) / 2 ** 6;
  });
}

/** In the order of make_muon.py's table, which numbers them: Hugging Face's. */
function writeNumbers(model: Llama, flat: Tensor<"f32">, seed: number): void {
  parameterTable(model.config).forEach(({ name }, index) => {
    const slot = model.parameters.slot(name);
    model.parameters.flatView(flat, slot).write(numbers(seed + index, slot.size));
  });
}

const fixture = join(import.meta.dirname, "../fixtures/muon.safetensors");
type Changes = Map<string, Float64Array>;

/** What changed in every parameter, if its values are now those that `read` returns. */
async function changes(model: Llama, read: (name: string, size: number) => Promise<Float32Array>): Promise<Changes> {
  const all: Changes = new Map();
  for (const [index, { name }] of parameterTable(model.config).entries()) {
    const { size } = model.parameters.slot(name);
    const before = numbers(index, size);
    all.set(
      name,
      Float64Array.from(await read(name, size), (value, i) => value - before[i]!),
    );
  }
  return all;
}

/** In three steps, of PyTorch's optimizer, which orthogonalizes in bf16, or of a copy of it in fp32. */
async function pytorchs(model: Llama, name: string, precision: "float32" | "bfloat16"): Promise<Changes> {
  const file = await SafetensorsFile.open(fixture);
  const result = await changes(model, async (parameter, size) => {
    const values = new Float32Array(size);
    await file.readInto(`${name}/${precision}/${parameter}`, 0, new Uint8Array(values.buffer));
    return values;
  });
  await file.close();
  return result;
}

/** In three steps, here. */
async function ours(model: Llama, name: string): Promise<Changes> {
  const { rates, settings } = cases[name]!;
  const { master } = model.parameters;
  using optimizer = new Muon(model.parameters);
  writeNumbers(model, master, 0);
  for (let step = 1; step <= 3; step++) {
    writeNumbers(model, optimizer.gradient, 100 * step);
    optimizer.step(rates, settings);
  }
  return changes(model, (parameter) => model.parameters.flatView(master, model.parameters.slot(parameter)).read());
}

function largestError(actual: Changes, expected: Changes): number {
  return Math.max(...[...expected].map(([name, change]) => relativeError(actual.get(name)!, change)));
}

describe.each(backends)("Muon on %s", (backend) => {
  it.each(Object.keys(cases))("is PyTorch's in fp32: %s", async (name) => {
    using model = Llama.create(shape, { device: open(backend), precision: "fp32" });
    expect(largestError(await ours(model, name), await pytorchs(model, name, "float32"))).toBeLessThan(1e-5);
  });

  it.each(Object.keys(cases))("is as far from PyTorch's in bf16 as that is from exact: %s", async (name) => {
    using model = Llama.create(shape, { device: open(backend), precision: "bf16" });
    const exact = await pytorchs(model, name, "float32");
    const rounded = await pytorchs(model, name, "bfloat16");
    const rounding = largestError(rounded, exact);
    const actual = await ours(model, name);
    expect(largestError(actual, exact)).toBeLessThan(2 * rounding);
    expect(largestError(actual, rounded)).toBeLessThan(2 * rounding);
    expect(rounding).toBeLessThan(0.03);
  });

  const { rates, settings } = cases.original!;

  it.each([true, false])("steps embedding, head and vectors as AdamW does, tied: %s", async (tied) => {
    const stepped = async (type: typeof AdamW | typeof Muon) => {
      const config = { ...shape, tie_word_embeddings: tied };
      using model = Llama.create(config, { device: open(backend), precision: "bf16", seed: 3 });
      using optimizer = new type(model.parameters);
      for (let step = 1; step <= 2; step++) {
        writeNumbers(model, optimizer.gradient, 100 * step);
        if (optimizer instanceof AdamW) optimizer.step(rates.adamw, settings);
        else optimizer.step(rates, settings);
      }
      const others = model.parameters.layout.slots.filter((slot) => !isHidden(slot));
      const { master, compute } = model.parameters;
      return Promise.all(
        others.flatMap((slot) => [master, compute].map((flat) => model.parameters.flatView(flat, slot).read())),
      );
    };
    expect(await stepped(Muon)).toEqual(await stepped(AdamW));
  });

  it("clips all gradients by their global norm, and skips a step whose gradient is not finite", async () => {
    using model = Llama.create(shape, { device: open(backend), precision: "fp32" });
    const { master } = model.parameters;
    using optimizer = new Muon(model.parameters);
    const state = async () =>
      Promise.all([master, optimizer.momentum, optimizer.firstMoment, optimizer.stepsTaken].map((t) => t.read()));
    writeNumbers(model, optimizer.gradient, 100);
    optimizer.step(rates, { ...settings, gradClip: 1e-3 });
    const [norm] = await optimizer.norm.read();
    const momentum = await optimizer.momentum.read();
    const gradient = await optimizer.gradient.read();
    // The matrices lie behind the embedding.
    const expected = [...momentum].map((_, i) => (0.05 * 1e-3 * gradient[i + 20 * 16]!) / norm!);
    expect(relativeError(momentum, expected)).toBeLessThan(1e-5);
    const before = await state();
    optimizer.gradient.narrow(0, 5, 1).write(Float32Array.of(Number.NaN));
    optimizer.step(rates, settings);
    expect(await state()).toEqual(before);
    expect(before.at(-1)).toEqual(Int32Array.of(1, 1));
    optimizer.reset();
    expect((await state()).slice(1).every((values) => values.every((value) => value === 0))).toBe(true);
  });

  it("has the config's defaults for settings that are left out", async () => {
    const { optimizer: parsed } = madeConfig(".", { optimizer: { type: "muon" } });
    const { betas, eps, weightDecay, gradClip, muon } = parsed;
    const { lr: _, ...matrices } = muon!;
    const all = { betas, eps, weightDecay, gradClip, muon: matrices };
    const stepped = async (given?: Partial<typeof all>) => {
      using model = Llama.create(shape, { device: open(backend), precision: "fp32", seed: 3 });
      using optimizer = new Muon(model.parameters);
      writeNumbers(model, optimizer.gradient, 1);
      optimizer.step({ adamw: 3e-3, muon: 0.1 }, given);
      return model.parameters.master.read();
    };
    const expected = await stepped(all);
    expect(await stepped()).toEqual(expected);
    expect(await stepped({ gradClip: 1, muon: {} as never })).toEqual(expected);
    expect(await stepped({ eps: undefined, muon: { nsSteps: undefined } } as never)).toEqual(expected);
    // Inherited, as by an object of a program's own class.
    expect(await stepped(Object.create({ weightDecay: 0.5 }))).toEqual(await stepped({ ...all, weightDecay: 0.5 }));
    expect(await stepped({ muon: { ...matrices, nesterov: false } })).not.toEqual(expected);
  });

  it("allocates what its specs say", () => {
    const device = new Device(backend, 0, 2);
    using model = Llama.create(shape, { device, precision: "bf16" });
    const { usedBytes } = device.memory();
    using _ = new Muon(model.parameters);
    const planned = planBytes(
      muonSpecs(device, model.parameters.layout, "bf16", new Frozen(model.parameters.layout, [])),
    );
    expect(device.memory().usedBytes - usedBytes).toBeGreaterThanOrEqual(planned);
    expect(device.memory().usedBytes - usedBytes).toBeLessThan(1.2 * planned + 64 * 256);
  });

  it("is not applied before it is prepared", () => {
    using model = Llama.create(shape, { device: open(backend), precision: "fp32" });
    using optimizer = new Muon(model.parameters);
    expect(() => optimizer.applyStep()).toThrow(TypeError);
    expect(() => optimizer.applyStep()).toThrow("Muon.applyStep: this: expected a prepared step but received none");
  });
});
