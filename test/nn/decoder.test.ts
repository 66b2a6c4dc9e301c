import { describe, expect, it } from "@jest/globals";
import { native, Tensor } from "../../lib/native.js";
import { Decoder } from "../../lib/nn/decoder.js";
import { Llama } from "../../lib/nn/llama.js";
import { Pass } from "../../lib/nn/pass.js";
import { PassMemory, passSpecs } from "../../lib/nn/pass_memory.js";
import { modelWeights } from "../../lib/nn/weights.js";
import { backends, open } from "../support/backends.js";

const shape = {
  vocab_size: 131,
  hidden_size: 96,
  intermediate_size: 160,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  num_key_value_heads: 1,
  max_position_embeddings: 64,
  initializer_range: 0.3,
  eos_token_id: null,
};
const prompt = [5, 17, 99, 17, 3, 64, 130, 0, 11];
const greedy = { repetitionPenalty: 1, temperature: 0, topK: 0, topP: 1, minP: 0, seed: 1 };

/** The likeliest token after `tokens` and its lead, from a forward pass over all of them without a cache. */
async function fullForward(model: Llama, tokens: readonly number[]): Promise<{ next: number; lead: number }> {
  const { device, config, parameters } = model;
  const batch = { sequences: 1, positions: tokens.length, patchSize: 1 };
  const pass = { config, dtype: parameters.dtype, positions: tokens.length, recompute: null };
  using memory = new PassMemory(device, pass, passSpecs(device, pass, [batch], false));
  const weights = modelWeights(parameters, null);
  using input = new Tensor(device, "i32", [tokens.length]);
  input.write(Int32Array.from(tokens));
  new Pass(memory, batch, weights, [1], false).forward(input, { loss: false, gradient: false });
  using logits = new Tensor(device, parameters.dtype, [1, config.vocab_size]);
  using wide = new Tensor(device, "f32", [1, config.vocab_size]);
  weights.head.forward(logits, memory.buffers.norm.out.narrow(0, tokens.length - 1, 1));
  native.copy(wide, logits);
  const values = await wide.read();
  const order = [...values.keys()].sort((a, b) => values[b]! - values[a]!);
  return { next: order[0]!, lead: values[order[0]!]! - values[order[1]!]! };
}

describe.each(backends)("Decoder on %s", (backend) => {
  // In bf16 a cached and a full pass may round two near-equal logits apart: only a clear lead decides.
  it.each([
    { precision: "fp32", clear: 1e-3 },
    { precision: "bf16", clear: 0.2 },
  ] as const)("draws greedily what a full forward pass would, in $precision", async ({ precision, clear }) => {
    using model = Llama.create(shape, { device: open(backend), precision, seed: 3 });
    const decoder = new Decoder(model, 40);
    const tokens = [...prompt];
    let input = Int32Array.from(prompt);
    let decided = 0;
    for (let count = 0; count < 20; count++) {
      const expected = await fullForward(model, tokens);
      const next = await decoder.next(input, greedy);
      expect(decoder.length).toBe(tokens.length);
      if (expected.lead > clear) {
        decided++;
        expect(next).toBe(expected.next);
      }
      tokens.push(expected.next);
      input = Int32Array.of(expected.next);
    }
    expect(decided).toBeGreaterThan(12);
    decoder.dispose();
  });

  it("takes a prompt in pieces, or whole", async () => {
    using model = Llama.create(shape, { device: open(backend), precision: "fp32", seed: 3 });
    const whole = new Decoder(model, 16);
    const pieces = new Decoder(model, 16);
    const expected = await whole.next(Int32Array.from(prompt), greedy);
    await pieces.next(Int32Array.from(prompt.slice(0, 2)), greedy);
    await pieces.next(Int32Array.from(prompt.slice(2, 3)), greedy);
    expect(await pieces.next(Uint32Array.from(prompt.slice(3)), greedy)).toBe(expected);
    whole.dispose();
    pieces.dispose();
  });

  it("draws the same by the same seed, and holds no more than its capacity", async () => {
    using model = Llama.create({ ...shape, initializer_range: 0.02 }, { device: open(backend), precision: "fp32" });
    const draw = async (seed: number) => {
      const decoder = new Decoder(model, 24);
      const sampling = { ...greedy, temperature: 1, seed };
      const drawn = [await decoder.next(Int32Array.from(prompt), sampling)];
      while (drawn.length < 15) drawn.push(await decoder.next(Int32Array.of(drawn.at(-1)!), sampling));
      decoder.dispose();
      return drawn;
    };
    const first = await draw(7);
    expect(await draw(7)).toEqual(first);
    expect(await draw(8)).not.toEqual(first);
    const decoder = new Decoder(model, 4);
    await expect(decoder.next(Int32Array.from(prompt), greedy)).rejects.toThrow(RangeError);
    await expect(decoder.next(new Int32Array(0), greedy)).rejects.toThrow(/expected 1 to 4 tokens .*but received 0/);
    for (const wrong of [{ temperature: -1 }, { topK: 0.5 }, { topP: 2 }, { seed: NaN }, { temperature: null }]) {
      const [name] = Object.keys(wrong);
      const next = decoder.next(Int32Array.of(1), { ...greedy, ...(wrong as object) });
      await expect(next).rejects.toThrow(new RegExp(`^Decoder.next: ${name}: expected .* but received `));
    }
    await expect(decoder.next([1] as never, greedy)).rejects.toThrow(
      /tokens: expected an Int32Array or a Uint32Array but received an array/,
    );
    expect(decoder.length).toBe(0);
    const { usedBytes } = model.device.memory();
    decoder[Symbol.dispose]();
    expect(model.device.memory().usedBytes).toBeLessThan(usedBytes);
    expect(() => new Decoder(model, 65)).toThrow(
      "Decoder: capacity: expected a whole number from 1 to 64 but received 65",
    );
    decoder.dispose();
  });
});
