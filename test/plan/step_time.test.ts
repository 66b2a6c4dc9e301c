/**
 * A step's time: small cases by hand, then the figures that the design of training on many GPUs expected, and published
 * measurements. Nothing here was measured on GPUs of this project.
 */
import { describe, expect, it } from "@jest/globals";
import { parseRunConfig } from "../../lib/config/config.js";
import { presets } from "../../lib/hf/presets.js";
import { bucketsOf, paddedParameters } from "../../lib/plan/buckets.js";
import { gpuNamed } from "../../lib/plan/gpus.js";
import { planCluster } from "../../lib/plan/plan.js";
import { stepBytes, stepTime } from "../../lib/plan/step_time.js";
import { shareOf } from "../../lib/train/join_ranks.js";

/** The one stage of a config on H100s, eight a node with 400 Gbit/s each. */
function stepOf(model: object, batch: object, patchSize: number, gpus: number, mfu: number) {
  const stages = [{ patchSize }];
  const value = { name: "planned", model, data: { train: "none" }, stages, batch, train: { steps: 1 } };
  const config = parseRunConfig(value, "config");
  const net = gpus > 8 ? 50e9 : null;
  const cluster = { gpu: gpuNamed("h100"), gpus, gpusPerNode: 8, netBytesPerSecond: net };
  const { staged, tokenLevel, bytesPerStep } = planCluster({ label: "config", config }, config.model!, 0, cluster, mfu);
  return { ...(staged ?? tokenLevel).stages[0]!, bytesPerStep };
}

const percent = (share: number) => 100 * share;
/** Whether a percentage is within so many points. */
const near = (expected: number, points: number) => ({
  asymmetricMatch: (value: number) => Math.abs(value - expected) <= points,
  toString: () => `within ${points} points of ${expected}`,
});

describe("stepTime", () => {
  const share = { overlap: true, zero: 1 } as const;
  const ring = { gpus: 2, bytesPerSecond: 2, limitedBy: "NVLink", latencySeconds: 0 } as const;
  // Reduced in 1, 2, 3 and 1 s (4 bytes an element, half of them sent), gathered in half of that.
  const buckets = { head: 1, layers: [2, 3], embedding: 1 };

  it("is arithmetic alone where there is one GPU", () => {
    const alone = stepTime({ computeSeconds: 9, microBatches: 3, headShare: 0.1, share }, buckets, {
      ...ring,
      gpus: 1,
    });
    expect(alone.seconds).toBeCloseTo(9, 9);
    expect(alone).toMatchObject({ communicationSeconds: 0, efficiency: expect.closeTo(1, 9) });
  });

  it("exposes what the backward and the forward cannot hide", () => {
    const time = stepTime({ computeSeconds: 6, microBatches: 1, headShare: 0.1, share }, buckets, ring);
    const speed = 1 - 20 / 132; // beside a transfer
    // Backward: the head takes 0.4 s, its transfer 1 s, beside which the last group computes, 1.8 s at full speed.
    const lastGroup = 0.4 + 1 + (1.8 - speed);
    // Its transfer takes 2 s, beside the first group's arithmetic; then there are 3 s and 1 s to send.
    const backward = lastGroup + 2 + (1.8 - 2 * speed) + 3 + 1;
    // Forward: embedding and first group are gathered after 2 s, the last group after 3 s, the head after 3.5 s.
    const firstGroup = 2 + 0.9 / speed;
    const forward = 3.5 + (0.9 - (3.5 - firstGroup) * speed) + 0.2;
    expect(time.seconds).toBeCloseTo(backward + forward, 9);
    expect(time.communicationSeconds).toBeCloseTo(7 + 3.5, 9);
    expect(time.exposedSeconds).toBeCloseTo(backward + forward - 6, 9);
    expect(time.efficiencyWithoutOverlap).toBeCloseTo(6 / 16.5, 9);
  });

  it("reduces in every micro-batch with ZeRO-2, and hides nothing without overlap", () => {
    const step = { computeSeconds: 30, microBatches: 3, headShare: 0.1 };
    const at = (overlap: boolean, zero: 1 | 2) => stepTime({ ...step, share: { overlap, zero } }, buckets, ring);
    expect(at(true, 2).communicationSeconds).toBeCloseTo(3 * 7 + 3.5, 9);
    expect(at(true, 2).exposedSeconds).toBeGreaterThan(at(true, 1).exposedSeconds);
    expect(at(false, 2).seconds).toBeCloseTo(30 + 3 * 7 + 3.5, 9);
    expect(at(false, 1)).toMatchObject({ exposedSeconds: expect.closeTo(10.5, 9) });
  });

  it("hides in one micro-batch of several, the larger the more", () => {
    const exposed = (microBatches: number) =>
      stepTime({ computeSeconds: 60, microBatches, headShare: 0.1, share }, buckets, ring).exposedSeconds;
    expect(exposed(10)).toBeCloseTo(exposed(1), 9); // 6 s are enough
    expect(exposed(10)).toBeLessThan(exposed(30));
    expect(exposed(30)).toBeLessThan(exposed(60));
    expect(exposed(60)).toBeLessThan(10.5);
  });
});

describe("bucketsOf", () => {
  const config = parseRunConfig(
    {
      name: "x",
      model: presets["llama-1.3b"],
      data: { train: "none" },
      stages: [{ patchSize: 1 }],
      batch: { tokensPerStep: 2048, sequenceLength: 2048 },
      train: { steps: 1 },
    },
    "x",
  ).model!;

  it("has the head, groups of whole layers, and the embedding with the vectors", () => {
    const { head, layers, embedding } = bucketsOf(config, shareOf({ overlap: true, zero: 1 }, 0, 8));
    expect(head).toBe(32000 * 2048);
    // A layer has 50.6 million parameters, a bucket at least 40 million.
    expect(layers).toHaveLength(24);
    expect(embedding).toBe(32000 * 2048 + 49 * 2048);
    expect(bucketsOf(config, shareOf({ overlap: true, zero: 1 }, 0, 256)).layers).toHaveLength(4);
    expect(bucketsOf(config, shareOf({ overlap: true, zero: 1 }, 0, 1024)).layers).toHaveLength(1);
    expect(bucketsOf(config, shareOf({ overlap: true, zero: 1, bucketParameters: 300e6 }, 0, 8)).layers).toHaveLength(
      4,
    );
    expect(bucketsOf({ ...config, tie_word_embeddings: true }, shareOf({ overlap: true, zero: 1 }, 0, 8)).head).toBe(0);
  });

  it("is padded to equal parts of 64 elements", () => {
    for (const size of Object.values(bucketsOf(config, shareOf({ overlap: true, zero: 1 }, 0, 24))).flat())
      expect(size % (24 * 64)).toBe(0);
  });

  it("sends reduce-scatter in f32 and all-gather in bf16, each P (N - 1) / N values", () => {
    const buckets = bucketsOf(config, shareOf({ overlap: true, zero: 1 }, 0, 64));
    const P = paddedParameters(buckets);
    expect(P).toBeGreaterThanOrEqual(1345423360);
    expect(P).toBeLessThan(1345423360 + 24 * 64 * 64);
    const ring = { gpus: 64, bytesPerSecond: 1, limitedBy: "network", latencySeconds: 0 } as const;
    expect(stepBytes(ring, buckets)).toEqual({ reduceScatter: (4 * P * 63) / 64, allGather: (2 * P * 63) / 64 });
  });
});

describe("what the design expected of llama-1.3b on H100s, in per cent of single GPUs' speed", () => {
  const at = (gpus: number, patchSize: number, mfu: number, tokensPerStep = 2 ** 21) => {
    const model = { preset: "llama-1.3b" };
    const { step } = stepOf(model, { tokensPerStep, sequenceLength: 2048 }, patchSize, gpus, mfu);
    return { all: percent(step.efficiency), without: percent(step.efficiencyWithoutOverlap), step };
  };

  // The design's model gives whole per cent for 45 to 55 % MFU, rings of 350 GB/s in a node and 330 across (here 360 and
  // 320): up to 64 GPUs it differs by no more than the MFU makes.
  it.each([0.45, 0.5, 0.55])("8 and 64 GPUs, MFU %d", (mfu) => {
    expect(at(8, 1, mfu).all).toEqual(near(99, 1));
    expect(at(8, 4, mfu).all).toEqual(near(99, 1));
    expect(at(64, 1, mfu).all).toEqual(near(98, 1));
    expect(at(64, 4, mfu).all).toEqual(near(93, 2));
    expect(at(64, 4, mfu).without).toEqual(near(79, 3.5));
  });

  // Here the MFU matters more, as the step is 40 ms: the design's 72 is a model of less exact buckets.
  it.each([0.45, 0.5, 0.55])("256 GPUs at K = 4, MFU %d", (mfu) => {
    expect(at(256, 4, mfu).all).toEqual(near(72, 7));
  });

  // The design's 68 is the arithmetic, and a reduce-scatter none of which is hidden, as all layers are one bucket by
  // then. This plan has two costs more: the all-gather of that bucket, before which no layer can begin, and the latency
  // of 1023 hops. So it says far less.
  it("1024 GPUs", () => {
    const { step, all } = at(1024, 1, 0.5);
    const reduceScatter = (4 * 1345423360) / 330e9;
    expect(percent(step.computeSeconds / (step.computeSeconds + reduceScatter))).toEqual(near(68, 1));
    expect(all).toEqual(near(43, 3));
    expect(at(1024, 4, 0.5, 2 ** 23).all).toEqual(near(all, 0.5));
  });
});

// Measured efficiencies are lower by a few points: no two GPUs are equally fast, and eight in a machine share its power
// and its air. The plan knows nothing of that.
describe("published measurements", () => {
  const optimism = (planned: number, measured: number) => percent(planned) - measured;

  it("LLM.Q: Qwen2.5-1.5B, 59,250 tokens/s on one H100 and 457,000 on eight", () => {
    const model = {
      ...{ vocab_size: 151936, hidden_size: 1536, intermediate_size: 8960, num_hidden_layers: 28 },
      ...{ num_attention_heads: 12, num_key_value_heads: 2, tie_word_embeddings: true },
    };
    const batch = { positionsPerStep: 8 * 65536, sequenceLength: 1024, microBatch: 32 };
    const { step } = stepOf(model, batch, 1, 8, 0.57);
    const measured = percent(457 / (8 * 59.25));
    expect(optimism(step.efficiency, measured)).toEqual(near(3, 1));
  });

  it("torchtitan: Llama 3.1 8B, FSDP, 6,667 tokens/s a GPU on 8 H100 and 6,514 on 128", () => {
    const model = {
      ...{ vocab_size: 128256, hidden_size: 4096, intermediate_size: 14336, num_hidden_layers: 32 },
      ...{ num_attention_heads: 32, num_key_value_heads: 8, max_position_embeddings: 8192 },
    };
    const at = (gpus: number) =>
      stepOf(model, { positionsPerStep: gpus * 16384, sequenceLength: 8192 }, 1, gpus, 0.39).step.efficiency;
    const measured = percent(6514 / 6667);
    expect(optimism(at(128) / at(8), measured)).toEqual(near(1.5, 1));
  });
});
