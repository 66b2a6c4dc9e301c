import { describe, expect, it } from "@jest/globals";
import { BatchDecoder } from "../../lib/nn/batch_decoder.js";
import { Decoder } from "../../lib/nn/decoder.js";
import { Llama } from "../../lib/nn/llama.js";
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
const sampling = { repetitionPenalty: 1.3, temperature: 0, topK: 0, topP: 1, minP: 0, seed: 1 };
const prompts = [
  [5, 17, 99, 17, 3],
  [64, 130, 0, 11, 2],
  [8, 8, 8, 8, 8],
  [1, 2, 3, 4, 5],
  [77, 12, 77, 40, 9],
];

describe.each(backends)("BatchDecoder on %s", (backend) => {
  const create = () => Llama.create(shape, { device: open(backend), precision: "fp32", seed: 3 });

  /** The tokens after each prompt, each alone. */
  async function alone(model: Llama, count: number): Promise<number[][]> {
    const all: number[][] = [];
    for (const prompt of prompts) {
      using decoder = new Decoder(model, 20);
      const drawn = [await decoder.next(Int32Array.from(prompt), sampling)];
      while (drawn.length < count) drawn.push(await decoder.next(Int32Array.of(drawn.at(-1)!), sampling));
      all.push(drawn);
    }
    return all;
  }

  it("decodes sequences as if each were alone, and those that stay when others leave", async () => {
    using model = create();
    const expected = await alone(model, 7);
    using decoder = new BatchDecoder(model, Int32Array.from(prompts.keys()), { capacity: 12, positions: 25 });
    const found: number[][] = prompts.map(() => []);
    let rows = [...prompts.keys()];
    decoder.append(Int32Array.from(prompts.flat()));
    // The last takes the place of the first, then the last leaves, then the middle one of three, then all.
    for (const leaving of [null, 0, 3, 1, null, null, "all"]) {
      const drawn = await decoder.sample(sampling);
      for (const [place, row] of rows.entries()) found[row]!.push(drawn[place]!);
      const order = decoder.keep((place) => leaving === null || (leaving !== "all" && rows[place] !== leaving));
      rows = order.map((place) => rows[place]!);
      if (rows.length > 0) decoder.append(Int32Array.from(rows, (row) => found[row]!.at(-1)!));
    }
    expect(rows).toEqual([]);
    expect(found.map(({ length }) => length)).toEqual([2, 4, 7, 3, 7]);
    expect(found).toEqual(expected.map((tokens, row) => tokens.slice(0, found[row]!.length)));
    expect(decoder.length).toBe(11);
  });

  it("takes prompts in pieces, or whole", async () => {
    using model = create();
    const expected = await alone(model, 1);
    using decoder = new BatchDecoder(model, new Int32Array(5), { capacity: 5, positions: 10 });
    for (const [from, to] of [
      [0, 2],
      [2, 3],
      [3, 5],
    ]) {
      decoder.append(Int32Array.from(prompts.flatMap((prompt) => prompt.slice(from, to))));
    }
    expect([...(await decoder.sample(sampling))]).toEqual(expected.flat());
  });

  it("draws each sequence from its stream, which it keeps", async () => {
    using model = Llama.create({ ...shape, initializer_range: 0 }, { device: open(backend), precision: "fp32" });
    const settings = { ...sampling, repetitionPenalty: 1, temperature: 1 };
    const draw = async (streams: number[], leaving: number) => {
      using decoder = new BatchDecoder(model, Int32Array.from(streams), { capacity: 4, positions: 4 });
      decoder.append(new Int32Array(streams.length));
      const first = [...(await decoder.sample(settings))];
      const order = decoder.keep((place) => place !== leaving);
      decoder.append(new Int32Array(order.length));
      return { first, second: [...(await decoder.sample(settings))] };
    };
    const { first, second } = await draw([0, 1, 2], 0);
    expect(new Set([...first, ...second]).size).toBe(5);
    expect(await draw([2, 7, 1], 1)).toMatchObject({ first: [first[2], expect.anything(), first[1]], second });
  });
});
