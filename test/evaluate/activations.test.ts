import { beforeEach, describe, expect, it } from "@jest/globals";
import { activations } from "../../lib/evaluate/activations.js";
import { Llama } from "../../lib/nn/llama.js";
import { backends, open } from "../support/backends.js";
import { writeShard } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
const data = () => path("tokens.bin");
beforeEach(() =>
  writeShard(
    data(),
    Array.from({ length: 200 }, (_, i) => (i * i) % 50),
  ),
);

describe.each(backends)("activations on %s", (backend) => {
  const config = {
    vocab_size: 64,
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    max_position_embeddings: 16,
    initializer_range: 0.3,
  };
  const make = (precision: "fp32" | "bf16") => Llama.create(config, { device: open(backend), precision, seed: 3 });

  it("counts what the reference computes", async () => {
    using model = make("fp32");
    const read = async (name: string) => {
      const { parameters } = model;
      return [...(await parameters.view(parameters.master, name).read())] as number[];
    };
    // The first layer's neurons do not depend on attention where a block is a single position: it attends to itself.
    const [embedding, v, o, gate, up] = await Promise.all(
      ["embed_tokens", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj"].map((name) =>
        read(name === "embed_tokens" ? "model.embed_tokens.weight" : `model.layers.0.${name}.weight`),
      ),
    );
    const times = (weight: number[], x: number[]) =>
      Array.from({ length: weight.length / x.length }, (_, row) =>
        x.reduce((sum, value, i) => sum + value * weight[row * x.length + i]!, 0),
      );
    const norm = (x: number[]) => {
      const mean = x.reduce((sum, value) => sum + value * value, 0) / x.length;
      return x.map((value) => value / Math.sqrt(mean + model.config.rms_norm_eps));
    };
    let expected = 0;
    for (let block = 0; block < 10; block++) {
      const tokens = [0, 1, 2, 3].map((i) => ((4 * block + i) * (4 * block + i)) % 50);
      const x = Array.from({ length: 64 }, (_, i) =>
        tokens.reduce((sum, token) => sum + embedding![token * 64 + i]! / 4, 0),
      );
      const attended = times(o!, times(v!, norm(x)));
      const inner = norm(x.map((value, i) => value + attended[i]!));
      const ups = times(up!, inner);
      const neurons = times(gate!, inner).map((value, i) => (value / (1 + Math.exp(-value))) * ups[i]!);
      expected += neurons.filter((value) => Math.abs(value) > 0.5).length;
    }
    const options = { data: data(), patchSize: 4, sequenceLength: 1, sequences: 10 };
    const result = await activations(model, options);
    expect(result).toMatchObject({ threshold: 0.5, patchSize: 4 });
    expect(result.layers).toHaveLength(2);
    expect(result.layers[0]!.active).toBeGreaterThan(0.1);
    expect(result.layers[0]!.active).toBeLessThan(0.9);
    expect(Math.abs(result.layers[0]!.active - expected / (10 * 96))).toBeLessThan(2 / (10 * 96));
  });

  it("counts fewer above a higher threshold, and all above none", async () => {
    using model = make("fp32");
    const shares = await Promise.all(
      [0, 0.1, 1, 1e6].map(
        async (threshold) => (await activations(model, { data: data(), threshold })).layers[1]!.active,
      ),
    );
    expect(shares[0]).toBeGreaterThan(0.99);
    expect(shares[1]).toBeGreaterThan(shares[2]!);
    expect(shares[2]).toBeGreaterThan(0);
    expect(shares[3]).toBe(0);
  });

  it("counts alike in bf16", async () => {
    using whole = make("fp32");
    using half = make("bf16");
    const progress: number[][] = [];
    const onProgress = (...done: number[]) => progress.push(done);
    const a = await activations(whole, { data: data(), patchSize: 2, threshold: 0.3 });
    const b = await activations(half, { data: data(), patchSize: 2, threshold: 0.3, onProgress });
    for (const [layer, { active }] of a.layers.entries()) {
      expect(Math.abs(active - b.layers[layer]!.active)).toBeLessThan(0.02);
    }
    expect(progress.at(-1)).toEqual([6, 6]);
  });

  it("refuses what is wrong", async () => {
    using model = make("fp32");
    const refused = (options: object) => expect(activations(model, { data: data(), ...options })).rejects;
    await refused({ threshold: -1 }).toThrow("activations: threshold: expected a number of at least 0 but received -1");
    const beyond =
      "activations: sequenceLength: expected a whole number from 1 to the model's context of 16 but received 17";
    await refused({ sequenceLength: 17 }).toThrow(beyond);
    await refused({ patchSize: 100 }).toThrow(/tokens\.bin: expected at least one block of 100 x 16 tokens but/);
  });
});
