/**
 * The model as a function against transformers: the numbers in test/fixtures/forward.safetensors come from
 * test/fixtures/make_forward.py.
 */
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { SafetensorsFile } from "../../lib/hf/safetensors.js";
import { native, Tensor } from "../../lib/native.js";
import { forwardPositions } from "../../lib/nn/forward_pass.js";
import { Llama } from "../../lib/nn/llama.js";
import { AdamW } from "../../lib/optim/adamw.js";
import { Muon } from "../../lib/optim/muon.js";
import { backends, open } from "../support/backends.js";

const fixtures = join(import.meta.dirname, "../fixtures");
const reference = await SafetensorsFile.open(join(fixtures, "forward.safetensors"));
const cases = reference
  .names()
  .filter((name) => name.endsWith("/tokens"))
  .map((name) => {
    const path = name.slice(0, -"/tokens".length);
    return { path, folder: path.replace(/\/K\d+$/, ""), patchSize: Number(/\d+$/.exec(path)![0]) };
  });

const tolerance = 1e-5;

async function expected(name: string): Promise<Float32Array> {
  const values = new Float32Array(reference.info(name).shape.reduce((a, b) => a * b, 1));
  await reference.readInto(name, 0, new Uint8Array(values.buffer));
  return values;
}

/** Rows of ids. */
async function tokensOf(path: string): Promise<number[][]> {
  const [sequences, length] = reference.info(`${path}/tokens`).shape as [number, number];
  const ids = new BigInt64Array(sequences * length);
  await reference.readInto(`${path}/tokens`, 0, new Uint8Array(ids.buffer));
  return Array.from({ length: sequences }, (_, i) => Array.from(ids.subarray(i * length, (i + 1) * length), Number));
}

/** The logarithms of the softmax of each row. */
function logProbabilities(logits: Float32Array, vocabulary: number): number[] {
  return Array.from({ length: logits.length / vocabulary }, (_, row) => {
    const values = [...logits.subarray(row * vocabulary, (row + 1) * vocabulary)];
    const most = Math.max(...values);
    const sum = most + Math.log(values.reduce((total, value) => total + Math.exp(value - most), 0));
    return values.map((value) => value - sum);
  }).flat();
}

function furthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

describe.each(backends)("Llama.forward on %s", (backend) => {
  const device = open(backend);
  const small = {
    vocab_size: 32,
    hidden_size: 32,
    intermediate_size: 32,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    max_position_embeddings: 16,
    initializer_range: 0.3,
  };
  const make = (precision: "fp32" | "bf16" = "fp32") => Llama.create(small, { device, precision, seed: 3 });

  it.each(cases)("gives transformers' logits and hidden states: $path", async ({ path, folder, patchSize }) => {
    using model = await Llama.load(join(fixtures, folder), { device, precision: "fp32" });
    const { vocab_size: vocabulary, hidden_size: width, num_hidden_layers: layers } = model.config;
    const tokens = await tokensOf(path);
    const { logits, hidden } = model.forward(tokens, { hidden: true, patchSize });
    const [sequences, positions] = [tokens.length, tokens[0]!.length / patchSize];
    expect(logits.shape).toEqual([sequences, positions, vocabulary]);
    const [found, wanted] = [await logits.read(), await expected(`${path}/logits`)];
    expect(furthest(found, wanted)).toBeLessThan(tolerance);
    expect(furthest(logProbabilities(found, vocabulary), logProbabilities(wanted, vocabulary))).toBeLessThan(tolerance);
    expect(hidden.length).toBe(layers + 1);
    for (const [index, state] of hidden.entries()) {
      expect(state.shape).toEqual([sequences, positions, width]);
      const values = await expected(`${path}/hidden.${index}`);
      const scale = Math.max(1, ...values.map(Math.abs));
      expect(furthest(await state.read(), values)).toBeLessThan(tolerance * scale);
    }
  });

  it("gives a batch of many passes what its sequences give alone, and leaves nothing else allocated", async () => {
    using model = make();
    const positions = 16;
    const count = Math.ceil((2.5 * forwardPositions[backend]) / positions);
    const tokens = Array.from({ length: count }, (_, i) =>
      Array.from({ length: positions }, (_, t) => (7 * i + t * t) % 32),
    );
    await device.synchronize();
    const before = device.memory().usedBytes;
    const { logits, hidden } = model.forward(tokens, { hidden: true });
    await device.synchronize();
    const bytes = [logits, ...hidden].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(device.memory().usedBytes - before).toBeLessThan(bytes + 2 ** 19);
    const [allLogits, allHidden] = [await logits.read(), await hidden[1]!.read()];
    for (const row of [0, count >> 1, count - 1]) {
      const one = model.forward(Int32Array.from(tokens[row]!), { hidden: true });
      const own = await one.logits.read();
      expect(furthest(own, allLogits.subarray(row * own.length, (row + 1) * own.length))).toBeLessThan(1e-5);
      const state = await one.hidden[1]!.read();
      expect(furthest(state, allHidden.subarray(row * state.length, (row + 1) * state.length))).toBeLessThan(1e-5);
    }
    for (const tensor of [logits, ...hidden]) tensor.free();
  });

  it("takes ids in every form, and gives what is asked for", async () => {
    using model = make();
    const rows = [
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ];
    using tensor = new Tensor(device, "i32", [2, 4]);
    tensor.write(Int32Array.from(rows.flat()));
    const { logits, hidden } = model.forward(rows);
    expect(hidden).toBeNull();
    const values = await logits.read();
    const forms = [tensor, rows.map((row) => Int32Array.from(row)), rows.map((row) => Uint32Array.from(row))];
    for (const form of forms) expect(await model.forward(form).logits.read()).toEqual(values);
    const [row] = rows;
    for (const form of [row!, Int32Array.from(row!), Uint32Array.from(row!)]) {
      const alone = await model.forward(form).logits.read();
      expect(furthest(alone, values.subarray(0, alone.length))).toBeLessThan(1e-5);
    }
    const states = model.forward(rows, { logits: false, hidden: true });
    expect(states.logits).toBeNull();
    expect(states.hidden.length).toBe(3);
  });

  it("gives f32 of a model in bf16", async () => {
    using exact = make();
    using model = make("bf16");
    const [wanted, found] = [exact, model].map((one) => one.forward([1, 2, 3, 4], { hidden: true }));
    expect(found!.logits!.dtype).toBe("f32");
    const values = await wanted!.logits!.read();
    expect(furthest(await found!.logits!.read(), values)).toBeLessThan(0.1 * Math.max(...values.map(Math.abs)));
    const states = await wanted!.hidden![1]!.read();
    expect(furthest(await found!.hidden![1]!.read(), states)).toBeLessThan(0.1 * Math.max(...states.map(Math.abs)));
  });

  it("has parameters and gradients by their names", async () => {
    using model = make("bf16");
    const name = "model.layers.1.self_attn.k_proj.weight";
    const weight = model.parameter(name);
    expect([weight.dtype, weight.shape]).toEqual(["bf16", [16, 32]]);
    const master = await model.parameters.view(model.parameters.master, name).read();
    expect(furthest(await weight.read(), master)).toBeLessThan(2 ** -8);
    using adamw = new AdamW(model.parameters);
    using muon = new Muon(model.parameters);
    for (const optimizer of [adamw, muon]) {
      native.fill(optimizer.gradientOf(name), 3);
      const gradient = await optimizer.gradient.read();
      expect(gradient.filter((value) => value === 3).length).toBe(16 * 32);
    }
    const nearest = `expected a parameter's name, such as ${name}, but received the string`;
    const wrong = name.replace("k_proj", "kproj");
    expect(() => model.parameter(wrong)).toThrow(`Llama.parameter: name: ${nearest} "${wrong}"`);
    expect(() => adamw.gradientOf(wrong)).toThrow(`AdamW.gradientOf: name: ${nearest} "${wrong}"`);
    expect(() => muon.gradientOf(wrong)).toThrow(`Muon.gradientOf: name: ${nearest} "${wrong}"`);
    expect(() => model.parameters.slot(wrong)).toThrow(`Parameters.slot: name: ${nearest} "${wrong}"`);
  });

  it("says what is wrong with ids", () => {
    using model = make();
    using tensor = new Tensor(device, "i32", [2, 17]);
    const id = "expected a token's id, from 0 to below 32, but received";
    const length = "tokens: expected sequences of 1 to 16 positions (the model's context) of";
    expect(() => model.forward([])).toThrow(`Llama.forward: ${length} 1 tokens but received 0 tokens`);
    expect(() => model.forward(tensor)).toThrow(`Llama.forward: ${length} 1 tokens but received 17 tokens`);
    expect(() => model.forward([1, 2, 3], { patchSize: 2 })).toThrow(`${length} 2 tokens but received 3 tokens`);
    expect(() => model.forward([[1, 32]])).toThrow(`Llama.forward: tokens[0][1]: ${id} 32`);
    expect(() => model.forward([1, -1])).toThrow(`Llama.forward: tokens[1]: ${id} -1`);
    expect(() => model.forward([[1, 2], [1]])).toThrow(
      "tokens[1]: expected as many tokens as tokens[0], 2, but received 1",
    );
    expect(() => model.forward([1], { logits: false })).toThrow("logits: expected true where hidden is not");
  });
});
