import { existsSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { Device } from "../../lib/device.js";
import { evaluate } from "../../lib/evaluate.js";
import { Llama } from "../../lib/nn/llama.js";
import { readMetrics } from "../../lib/report/metrics.js";
import { Trainer } from "../../lib/train/trainer.js";
import { computed, madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
beforeEach(async () => writeMadeData(path()));
afterEach(() => void jest.restoreAllMocks());

const modelBytes = (run: string) => readFileSync(path(`${run}/model/model.safetensors`));

describe("a run in two stages", () => {
  it("learns, and writes a line a step with the agreed keys", async () => {
    const lines = await runTo(madeConfig(path()));
    expect(lines).toHaveLength(12);
    expect(await readMetrics(path("run/metrics.jsonl"))).toEqual(lines);
    const keys = [
      "step",
      "stage",
      "patchSize",
      "tokens",
      "positions",
      "loss",
      "lr",
      "gradNorm",
      "seconds",
      "tokensPerSecond",
      "flops",
      "mfu",
      "time",
    ];
    for (const line of lines) {
      const evaluated = [4, 6, 8, 12].includes(line.step); // every four steps, and at the end of a stage
      const memory = line.step === 1 ? ["memory"] : []; // and every sixteen steps
      expect(Object.keys(line)).toEqual([...keys, ...(evaluated ? ["valLoss"] : []), ...memory]);
    }
    expect(lines.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
    expect(lines.map(({ stage, patchSize }) => [stage, patchSize])).toEqual([
      ...Array.from({ length: 6 }, () => [0, 4]),
      ...Array.from({ length: 6 }, () => [1, 1]),
    ]);
    expect(lines[5]).toMatchObject({ tokens: 1536, positions: 384 });
    expect(lines[11]).toMatchObject({ tokens: 3072, positions: 1920 });
    expect(Math.abs(lines[0]!.loss - Math.log(96))).toBeLessThan(0.2);
    expect(lines[11]!.valLoss).toBeLessThan(lines[3]!.valLoss!);
    // All time is accounted for, and every part took some.
    const { time, seconds } = lines[11]!;
    const parts = Object.values(time!);
    expect(Math.abs(parts.reduce((sum, part) => sum + part, 0) - seconds)).toBeLessThan(0.02 * seconds);
    for (const part of ["embedding", "transformer", "head", "optimizer"] as const) {
      expect(time![part]).toBeGreaterThan(0);
    }
    // A step of either stage has as many tokens; at K = 4 it costs about a quarter.
    const cost = (line: number) => lines[line]!.flops - lines[line - 1]!.flops;
    expect(cost(1) / cost(11)).toBeGreaterThan(0.24);
    expect(cost(1) / cost(11)).toBeLessThan(0.27);
    // The schedule restarts: both stages warm up over two steps.
    expect(lines[6]!.lr).toBe(lines[0]!.lr);
    expect(lines[7]!.lr).toBe(3e-3);
  });

  it("leaves the folder that the design describes", async () => {
    const config = madeConfig(path());
    await runTo(config);
    const json = (name: string) => JSON.parse(readFileSync(path(`run/${name}`), "utf8")) as Record<string, unknown>;
    expect(json("config.json")).toEqual(JSON.parse(JSON.stringify(config)));
    expect(json("model/config.json")).toMatchObject({ architectures: ["LlamaForCausalLM"], vocab_size: 96 });
    expect(readFileSync(path("run/latest"), "utf8")).toBe("step-00000012\n");
    expect(existsSync(path("run/checkpoints/step-00000012/trainer/state.json"))).toBe(true);
    expect(readFileSync(path("run/report.html"), "utf8")).toContain("<!doctype html>");
  });

  it.each(["fp32", "bf16"] as const)("computes the same bits twice in %s", async (precision) => {
    const first = await runTo(madeConfig(path(), { precision }));
    const second = await runTo(madeConfig(path(), { precision, out: path("again") }));
    expect(computed(second)).toEqual(computed(first));
    expect(modelBytes("again").equals(modelBytes("run"))).toBe(true);
    const otherSeed = await runTo(madeConfig(path(), { precision, out: path("other"), seed: 2 }));
    expect(otherSeed[0]!.loss).not.toBe(first[0]!.loss);
  });

  it("computes the same bits without graphs, which NEXTPATCH_GRAPHS=0 turns off", async () => {
    const captures = jest.spyOn(Device.prototype, "beginCapture");
    const recorded = await runTo(madeConfig(path()));
    expect(captures).toHaveBeenCalledTimes(2); // one a stage
    process.env.NEXTPATCH_GRAPHS = "0";
    try {
      expect(computed(await runTo(madeConfig(path(), { out: path("again") })))).toEqual(computed(recorded));
    } finally {
      delete process.env.NEXTPATCH_GRAPHS;
    }
    expect(captures).toHaveBeenCalledTimes(2);
    expect(modelBytes("again").equals(modelBytes("run"))).toBe(true);
    expect(readFileSync("docs/cuda.md", "utf8")).toContain("`NEXTPATCH_GRAPHS=0`");
  });

  it("computes the same up to rounding with another number of threads", async () => {
    const run = async (threads: string, out: string) => {
      const before = process.env.OMP_NUM_THREADS;
      process.env.OMP_NUM_THREADS = threads;
      try {
        return await runTo(madeConfig(path(), { out: path(out) }));
      } finally {
        if (before === undefined) delete process.env.OMP_NUM_THREADS;
        else process.env.OMP_NUM_THREADS = before;
      }
    };
    const [one, two] = [await run("1", "one"), await run("2", "two")];
    one.forEach(({ loss, gradNorm }, index) => {
      expect(Math.abs(two[index]!.loss / loss - 1)).toBeLessThan(1e-4);
      expect(Math.abs(two[index]!.gradNorm / gradNorm - 1)).toBeLessThan(1e-3);
    });
  });

  it("begins a stage with a fresh optimizer unless keepOptimizer is set", async () => {
    const fresh = await runTo(madeConfig(path()));
    const kept = await runTo(madeConfig(path(), { out: path("kept"), keepOptimizer: true }));
    // The loss is that before the update: the first that can differ is the second one of stage 1.
    expect(computed(kept.slice(0, 7))).toEqual(computed(fresh.slice(0, 7)));
    expect(kept[7]!.loss).not.toBe(fresh[7]!.loss);
    const state = (run: string) =>
      JSON.parse(readFileSync(path(`${run}/checkpoints/step-00000012/trainer/state.json`), "utf8")) as unknown;
    expect(state("run")).toMatchObject({ optimizerSteps: 6, stage: 1, step: 12 });
    expect(state("kept")).toMatchObject({ optimizerSteps: 12 });
  });

  it.each(["fp32", "bf16"] as const)("reports what `evaluate` finds in the saved model, in %s", async (precision) => {
    const lines = await runTo(madeConfig(path(), { precision }));
    using model = await Llama.load(path("run/model"), { device: "cpu", precision });
    const found = await evaluate(model, { data: path("val.bin"), sequenceLength: 16 });
    expect(found).toMatchObject({ positions: 128, tokens: 128 });
    expect(Math.abs(found.loss / lines[11]!.valLoss! - 1)).toBeLessThan(1e-6);
  });

  it("lets the event loop turn while a step is computed", async () => {
    const model = {
      hidden_size: 256,
      intermediate_size: 704,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      vocab_size: 96,
      max_position_embeddings: 256,
    };
    const batch = { tokensPerStep: 2048, sequenceLength: 256 };
    const data = { train: path("train.bin") };
    const one = { stages: [{ patchSize: 1 }], train: { steps: 1 }, eval: undefined };
    const config = madeConfig(path(), { model, batch, data, ...one });
    const trainer = await Trainer.open(config);
    const run = trainer.run();
    let turns = 0;
    let counting = true;
    const turn = () => {
      turns++;
      if (counting) setTimeout(turn, 1);
    };
    setTimeout(turn, 1);
    await run.next();
    counting = false;
    // A step of this size takes a hundred milliseconds; a few turns could be the waits for files alone.
    expect(turns).toBeGreaterThan(20);
    await run.return();
    await trainer.close();
    await expect(trainer.run().next()).rejects.toThrow(
      /^Trainer.run: this: expected an open trainer but received a closed one$/,
    );
  });
});
