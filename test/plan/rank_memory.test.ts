/** The memory of a rank, against what a GPU used, what `simt` needs, and the rule of 6 + 12/N bytes a parameter. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { parseRunConfig } from "../../lib/config/config.js";
import { resolveStages } from "../../lib/config/stages.js";
import { Device } from "../../lib/device.js";
import { native } from "../../lib/native.js";
import { workspacesOf } from "../../lib/nn/pass_memory.js";
import { gpuWorkspaces, rankMemory } from "../../lib/plan/rank_memory.js";
import { shareOf } from "../../lib/train/join_ranks.js";

const configOf = (model: object, sequenceLength = 2048) =>
  parseRunConfig(
    {
      name: "x",
      model,
      data: { train: "none" },
      stages: [{ patchSize: 1 }],
      batch: { tokensPerStep: 64 * sequenceLength, sequenceLength },
      train: { steps: 1 },
    },
    "x",
  );

function memoryOf(model: object, ranks: number, memoryBytes: number, zero: 1 | 2 = 1) {
  const config = configOf(model);
  const stages = resolveStages(config, 0).map((stage) => ({
    ...stage,
    sequencesPerStep: stage.sequencesPerStep / ranks,
    tokensPerStep: stage.tokensPerStep / ranks,
  }));
  const planned = { config: config.model!, dtype: "bf16", recompute: config.recompute } as const;
  const share = shareOf({ ...config.parallel, zero }, 0, ranks);
  return rankMemory({ ...planned, share }, stages, 0, memoryBytes);
}

describe("rankMemory", () => {
  const results = readFileSync(new URL("../../bench/results/quick-nvidia-h200.json", import.meta.url), "utf8");
  const { steps } = JSON.parse(results) as { steps: { name: string; result: { peakBytes: number } }[] };

  it.each(["llama-370m", "llama-780m", "llama-1.3b", "llama-2.7b"])("is what %s used on an H200", (preset) => {
    const measured = steps.find(({ name }) => name === `${preset}-1`)!.result.peakBytes;
    const { bytes, fits } = memoryOf({ preset }, 1, 143771 * 2 ** 20);
    expect(fits).toBe(true);
    expect(bytes / measured).toBeGreaterThan(0.995);
    expect(bytes / measured).toBeLessThan(1.005);
  });

  it("divides masters and moments among the ranks", () => {
    const parameters = (ranks: number) =>
      memoryOf({ preset: "llama-1.3b" }, ranks, 80e9)
        .items.slice(0, 4)
        .reduce((sum, { bytes }) => sum + bytes, 0);
    expect(parameters(1)).toBe(18 * 1345423360);
    expect(parameters(8) / ((6 + 12 / 8) * 1345423360)).toBeCloseTo(1, 4);
    expect(parameters(64) / ((6 + 12 / 64) * 1345423360)).toBeCloseTo(1, 3);
  });

  it("has the own part of the gradient, two buckets of layers, the head's and the vectors', with ZeRO-2", () => {
    const gradients = (ranks: number) =>
      memoryOf({ preset: "llama-1.3b" }, ranks, 80e9, 2).items.find(({ name }) => name.startsWith("gradients"))!.bytes;
    const layer = 4 * 2048 ** 2 + 3 * 2048 * 5504;
    const underWay = 2 * layer + 32000 * 2048 + 49 * 2048;
    expect(gradients(8) / (4 * (1345423360 / 8 + underWay))).toBeCloseTo(1, 3);
    expect(gradients(1)).toBe(4 * 1345423360);
  });

  it("takes smaller passes where memory is short, and says where none fits", () => {
    const passes = (memoryBytes: number) => memoryOf({ preset: "llama-1.3b" }, 8, memoryBytes);
    expect(passes(80e9)).toMatchObject({ fits: true, batches: [{ sequences: 8 }] });
    expect(passes(48e9)).toMatchObject({ fits: true, batches: [{ sequences: 8 }] });
    expect(passes(24e9)).toMatchObject({ fits: true, batches: [{ sequences: 2 }] });
    expect(passes(12e9)).toMatchObject({ fits: false, batches: [{ sequences: 1 }] });
  });
});

const simt = native.backends().some(({ name, available }) => name === "simt" && available);

(simt ? describe : describe.skip)("gpuWorkspaces", () => {
  it.each([
    { hidden_size: 64, num_attention_heads: 2 },
    { hidden_size: 64, num_attention_heads: 2, num_key_value_heads: 1, head_dim: 64, model_type: "qwen3" },
    { hidden_size: 64, num_attention_heads: 4, num_key_value_heads: 4, model_type: "qwen2" },
  ])("are those of the GPU's code: %o", (model) => {
    const sizes = { vocab_size: 96, intermediate_size: 96, num_hidden_layers: 1 };
    const config = configOf({ ...sizes, ...model }, 200).model!;
    const shape = { config, dtype: "bf16", positions: 1600, recompute: "none" } as const;
    const batches = [
      { sequences: 8, positions: 200, patchSize: 4 },
      { sequences: 1, positions: 1600, patchSize: 1 },
    ];
    const device = Device.open("simt");
    const found = workspacesOf(device, shape, batches);
    const { attention, rows, embedding } = gpuWorkspaces(shape, batches);
    expect({ attention, embedding }).toEqual({ attention: found.attention, embedding: found.embedding });
    expect(rows).toBeGreaterThanOrEqual(found.rows);
  });
});
