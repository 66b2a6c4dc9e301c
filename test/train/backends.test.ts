/** The training loop on every backend except the CPU: the same losses, up to the rounding of its precision. */
import { describe, expect, it } from "@jest/globals";
import { parseRunConfig } from "../../lib/config/config.js";
import { resolveStages } from "../../lib/config/stages.js";
import type { BackendName } from "../../lib/native.js";
import { Llama } from "../../lib/nn/llama.js";
import { planRun } from "../../lib/train/memory_plan.js";
import { Stepper } from "../../lib/train/stepper.js";
import { backends, open } from "../support/backends.js";
import { madeTokens, madeVocabulary } from "../support/made_run.js";

const steps = 30;
const [sequences, positions] = [4, 16];

interface Trained {
  losses: number[];
  gradNorms: number[];
  weights: Float32Array;
}

/**
 * The losses of 30 steps of 4 sequences of 16 patches, and the weights they leave.
 * @param ahead whether steps are told the tokens of the next
 * @param optimizer keys of its section that differ
 */
async function train(
  backend: BackendName,
  precision: "fp32" | "bf16",
  patchSize: number,
  ahead = false,
  optimizer: object = {},
): Promise<Trained> {
  const device = open(backend);
  const tokensPerStep = sequences * positions * patchSize;
  const config = parseRunConfig(
    {
      name: "backends",
      data: { train: "none" },
      stages: [{ patchSize }],
      train: { steps },
      optimizer: { lr: 3e-3, ...optimizer },
      model: {
        hidden_size: 64,
        intermediate_size: 96,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        vocab_size: madeVocabulary,
        max_position_embeddings: 64,
      },
      batch: { tokensPerStep, sequenceLength: positions, microBatch: 2 },
    },
    "backends",
  );
  const stages = resolveStages(config, steps * tokensPerStep);
  const dtype = precision === "bf16" ? "bf16" : "f32";
  using model = Llama.create(config.model!, { device, precision, seed: 4 });
  const planned = { config: config.model!, dtype, recompute: "none" } as const;
  const stepper = new Stepper(model, planRun(device, planned, stages, null), stages, null);
  const tokens = Int32Array.from(madeTokens(steps * tokensPerStep));
  const trained: Trained = { losses: [], gradNorms: [], weights: new Float32Array() };
  const batches = Array.from({ length: steps }, (_, step) =>
    tokens.slice(step * tokensPerStep, (step + 1) * tokensPerStep),
  );
  // Now and then the next step's tokens do not come, or turn out to be others.
  const next = async (step: number): Promise<Int32Array> => {
    if (step % 7 === 3) throw new Error("on purpose");
    return batches[step % 5 === 4 ? 0 : step + 1]!;
  };
  for (let step = 0; step < steps; ++step) {
    const { loss, gradNorm } = await stepper.step(0, batches[step]!, 3e-3, ahead ? next(step) : null);
    trained.losses.push(loss);
    trained.gradNorms.push(gradNorm);
  }
  trained.weights = await model.parameters.master.read();
  stepper.dispose();
  return trained;
}

/** The largest difference of two curves, relative to the second. */
function distance(a: readonly number[], b: readonly number[]): number {
  return Math.max(...a.map((x, i) => Math.abs(x / b[i]! - 1)));
}

const others = backends.filter((backend) => backend !== "cpu");
const describeOthers = others.length > 0 ? describe.each(others) : describe.skip.each<BackendName>(["simt"]);

describeOthers("30 training steps on %s", (backend) => {
  it.each([1, 4])(
    "follow the CPU's losses at K = %i, the same bits with and without graphs, prefetched or not",
    async (K) => {
      const exact = await train("cpu", "fp32", K);
      expect(exact.losses.at(-1)).toBeLessThan(exact.losses[0]! - 0.1); // it learns

      // The noise of bf16 is what it does to the CPU's own losses. Both backends round every activation at the same
      // points, but after sums in another order: two such curves, each that far from the exact one, may lie twice that
      // apart. Hardware's exponentials add to it: with 2 ulp of noise in them the distance was 1.17 times it.
      const cpu = await train("cpu", "bf16", K);
      const noise = distance(cpu.losses, exact.losses);
      expect(noise).toBeGreaterThan(1e-5);
      expect(noise).toBeLessThan(0.01);
      const first = await train(backend, "bf16", K);
      expect(distance(first.losses, cpu.losses)).toBeLessThan(2 * noise);
      expect(distance(first.losses, exact.losses)).toBeLessThan(2 * noise);

      process.env.NEXTPATCH_GRAPHS = "0";
      try {
        expect(await train(backend, "bf16", K)).toEqual(first);
      } finally {
        delete process.env.NEXTPATCH_GRAPHS;
      }
      expect(await train(backend, "bf16", K, true)).toEqual(first);
    },
  );

  it("follow the CPU's losses in fp32", async () => {
    const [found, expected] = [await train(backend, "fp32", 4), await train("cpu", "fp32", 4)];
    expect(distance(found.losses, expected.losses)).toBeLessThan(1e-4);
    expect(distance(found.gradNorms, expected.gradNorms)).toBeLessThan(1e-3);
  });

  it("follow the CPU's losses in fp32 with Muon", async () => {
    const muon = { type: "muon", muon: { lr: 0.02 } };
    const [found, expected] = [
      await train(backend, "fp32", 4, false, muon),
      await train("cpu", "fp32", 4, false, muon),
    ];
    expect(expected.losses.at(-1)).toBeLessThan(expected.losses[0]! - 0.1);
    expect(distance(found.losses, expected.losses)).toBeLessThan(1e-3);
    expect(distance(found.gradNorms, expected.gradNorms)).toBeLessThan(1e-2);
  });
});
