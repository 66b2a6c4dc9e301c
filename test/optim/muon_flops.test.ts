import { describe, expect, it } from "@jest/globals";
import { parseRunConfig } from "../../lib/config/config.js";
import { resolveStages } from "../../lib/config/stages.js";
import { parseLlamaConfig } from "../../lib/hf/config.js";
import { presets } from "../../lib/hf/presets.js";
import { stepFlops } from "../../lib/nn/flops.js";
import { optimizerFlops } from "../../lib/optim/optimizer.js";
import { madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();

/** The three products of a step for [rows, columns], two for a multiply-add. */
function perMatrix(rows: number, columns: number): number {
  const [m, n] = [Math.min(rows, columns), Math.max(rows, columns)];
  return 2 * m * m * n + 2 * m * m * m + 2 * m * m * n;
}

describe("Muon's FLOPs", () => {
  it("are those of its matrices, each as Hugging Face has it", () => {
    const shape = parseLlamaConfig(
      {
        hidden_size: 64,
        intermediate_size: 96,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 32,
        vocab_size: 50,
      },
      "c",
    );
    const [queries, keys] = [perMatrix(128, 64), perMatrix(64, 64)];
    const ofLayer = 2 * queries + 2 * keys + 3 * perMatrix(96, 64);
    const { optimizer } = parseRunConfig({ ...base, optimizer: { type: "muon", muon: { nsSteps: 4 } } }, "c");
    expect(optimizerFlops(shape, optimizer)).toBe(4 * 3 * ofLayer);
    expect(optimizerFlops(shape, parseRunConfig(base, "c").optimizer)).toBe(0);
  });

  it("are below a hundredth of a step of half a million positions of llama-370m", () => {
    const config = parseRunConfig({ ...base, optimizer: { type: "muon" } }, "c");
    const [stage] = resolveStages(config, 0);
    const shape = parseLlamaConfig(presets["llama-370m"], "c");
    expect(optimizerFlops(shape, stage!.optimizer)).toBeLessThan(0.01 * stepFlops(shape, stage!));
  });

  it("are counted apart in a run's metrics, through its stages and a resumption", async () => {
    await writeMadeData(path());
    const stages = [
      { patchSize: 4, fraction: 0.5 },
      { patchSize: 1, optimizer: { muon: { nsSteps: 2 } } },
    ];
    const changes = { stages, train: { steps: 4 }, eval: { everySteps: 4, sequences: 2 } };
    const config = madeConfig(path(), { ...changes, optimizer: { type: "muon" } });
    const [first, second] = resolveStages(config, 6000).map(({ optimizer }) =>
      optimizerFlops(config.model!, optimizer),
    );
    expect(second).toBe(0.4 * first!);
    const lines = [...(await runTo(config, { until: 3 })), ...(await runTo(config, { resume: true }))];
    expect(lines.map((line) => line.optimizerFlops)).toEqual(
      [1, 2, 2.4, 2.8].map((n) => expect.closeTo(n * first!, 3)),
    );
    const adamw = await runTo(madeConfig(path(), { ...changes, stages: [{ patchSize: 1 }], out: path("adamw") }));
    expect(adamw.some((line) => "optimizerFlops" in line)).toBe(false);
  });
});

const base = {
  name: "r",
  model: { preset: "llama-370m" },
  data: { train: "t" },
  batch: { tokensPerStep: 2 ** 19, sequenceLength: 2048 },
  train: { steps: 1 },
};
