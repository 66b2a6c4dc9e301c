/** What the backward computes again costs no bit and saves memory. */
import { describe, expect, it } from "@jest/globals";
import { parseRunConfig } from "../../lib/config/config.js";
import { type Recompute, recomputeKinds } from "../../lib/config/recompute.js";
import { resolveStages } from "../../lib/config/stages.js";
import { Llama } from "../../lib/nn/llama.js";
import { planItems, planRun } from "../../lib/train/memory_plan.js";
import { Stepper } from "../../lib/train/stepper.js";
import { backends, open } from "../support/backends.js";

const layers = 3;
const [hidden, intermediate, heads, headDim] = [64, 96, 2, 32];
const shape = {
  vocab_size: 131,
  hidden_size: hidden,
  intermediate_size: intermediate,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  num_key_value_heads: 1,
  max_position_embeddings: 64,
};
const [sequences, positions, patchSize] = [2, 12, 4];
const tokens = Int32Array.from({ length: 2 * sequences * positions * patchSize }, (_, i) => (i * i + 7 * i) % 131);

function planned(backend: (typeof backends)[number], precision: "fp32" | "bf16", recompute: Recompute) {
  const config = parseRunConfig(
    {
      name: "recompute",
      model: shape,
      data: { train: "none" },
      stages: [{ patchSize }],
      train: { steps: 2 },
      batch: { tokensPerStep: tokens.length, sequenceLength: positions, microBatch: sequences },
      recompute,
    },
    "recompute",
  );
  const device = open(backend);
  const stages = resolveStages(config, tokens.length);
  const dtype = precision === "bf16" ? "bf16" : "f32";
  const plan = planRun(device, { config: config.model!, dtype, recompute: config.recompute }, stages, null);
  return { device, stages, plan };
}

const all = backends.flatMap((backend) => (["fp32", "bf16"] as const).map((precision) => ({ backend, precision })));

describe.each(all)("recompute on $backend in $precision", ({ backend, precision }) => {
  it("gives the same bits", async () => {
    const train = async (recompute: Recompute) => {
      const { device, stages, plan } = planned(backend, precision, recompute);
      using model = Llama.create(shape, { device, precision, seed: 5 });
      using stepper = new Stepper(model, plan, stages, null);
      const losses = [(await stepper.step(0, tokens, 1e-2)).loss, (await stepper.step(0, tokens, 1e-2)).loss];
      const gradient = await stepper.optimizer.gradient.read();
      return { losses, gradient, master: await model.parameters.master.read() };
    };
    const expected = await train("none");
    expect(expected.losses[1]).toBeLessThan(expected.losses[0]!);
    expect(await train("elementwise")).toEqual(expected);
    expect(await train("block")).toEqual(expected);
  });

  it("keeps what it says", () => {
    const bytes = recomputeKinds.map((recompute) => {
      const { device, plan } = planned(backend, precision, recompute);
      return planItems(device, plan).find(({ name }) => name === `activations of ${layers} layers`)!.bytes;
    });
    const [N, size] = [sequences * positions, precision === "bf16" ? 2 : 4];
    const qkv = (heads + 2) * headDim;
    const rstd = 2 * N * 4;
    const lse = N * heads * 4;
    // The first layer's stream is the embedding.
    const streams = (2 * layers - 1) * N * hidden * size;
    const norms = 2 * N * hidden * size;
    const activated = N * intermediate * size;
    const rest = N * (qkv + heads * headDim + 2 * intermediate) * size + lse;
    expect(bytes).toEqual([
      streams + layers * (rstd + norms + activated + rest),
      streams + layers * (rstd + rest) + norms + activated,
      streams + layers * rstd + norms + activated + rest,
    ]);
  });
});
