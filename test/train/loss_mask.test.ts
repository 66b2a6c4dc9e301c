/** Runs on data with loss masks. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { TokenDataset } from "../../lib/data/dataset.js";
import { evaluate, evaluateTogether } from "../../lib/evaluate.js";
import { Llama } from "../../lib/nn/llama.js";
import { alone } from "../../lib/nn/sharding.js";
import { readMetrics } from "../../lib/report/metrics.js";
import { Trainer } from "../../lib/train/trainer.js";
import { backends } from "../support/backends.js";
import { planComparison } from "../support/comparison_plan.js";
import { madeMask, writeMask } from "../support/made_mask.js";
import { computed, madeConfig, madeModel, madeTokens, runTo, writeMadeData, writeShard } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
const [trained, held] = [6000, 16 * 8];
beforeEach(async () => {
  await writeMadeData(path());
  await writeMask(path("train.bin"), madeMask(trained, 1));
  await writeMask(path("val.bin"), madeMask(held, 2));
});

const ones = (length: number) => new Uint8Array(length).fill(1);
const named = (out: string, changes: object = {}) => madeConfig(path(), { out: path(out), ...changes });

/** The loss of a model on held-out data from its logits, in double precision. */
async function heldOutLoss(model: Llama, length: number): Promise<{ loss: number; labels: number }> {
  await using dataset = await TokenDataset.open(path("val.bin"));
  const [tokens, mask] = [new Int32Array(held), new Uint8Array(held)];
  await dataset.read(0, tokens);
  await dataset.readMask(0, mask);
  const blocks = Array.from({ length: held / length }, (_, i) => tokens.subarray(length * i, length * (i + 1)));
  using logits = model.forward(blocks).logits;
  const values = await logits.read();
  const size = model.config.vocab_size;
  let [sum, labels] = [0, 0];
  for (let at = 0; at < held; at++) {
    if (at % length === 0 || mask[at] === 0) continue;
    const row = values.subarray((at - 1) * size, at * size);
    sum += Math.log(row.reduce((total, value) => total + Math.exp(value), 0)) - row[tokens[at]!]!;
    labels++;
  }
  return { loss: sum / labels, labels };
}

describe("a mask", () => {
  it("must leave a label to train on in every stage: the first patch of a sequence is not predicted", async () => {
    const mask = new Uint8Array(trained);
    mask[0] = 1; // first of the sequences of every stage
    mask[64 * 93] = 1; // behind the last whole unit of 64 tokens
    await writeMask(path("train.bin"), mask);
    const reason = "are not predicted, but received a loss mask that leaves out all of them";
    await expect(Trainer.open(named("first"))).rejects.toThrow(
      `${path("train.bin")}: expected a label that counts in stages[0], in which a sequence is 64 tokens whose first 4 tokens ${reason}`,
    );
    mask[2] = 1; // a label token by token, and in the first patch of 4
    await writeMask(path("train.bin"), mask);
    await expect(Trainer.open(named("first"))).rejects.toThrow("counts in stages[0]");
    await (await Trainer.open(named("first", { stages: [{ patchSize: 1 }] }))).close();
    mask[4] = 1;
    await writeMask(path("train.bin"), mask);
    await (await Trainer.open(named("second"))).close();
  });
});

describe.each(backends)("a run on masked data on %s", (device) => {
  const config = (out: string, changes: object = {}) => named(out, { device, ...changes });

  it("says how many labels count, and evaluates on those of the held-out data", async () => {
    const lines = await runTo(config("a"));
    for (const { labels, patchSize } of lines) {
      expect(labels).toBeGreaterThan(50);
      expect(labels).toBeLessThan(256 - (256 / 16 / patchSize) * patchSize);
    }
    expect(lines.at(-1)!.loss).toBeLessThan(lines[0]!.loss);
    expect(computed(await readMetrics(path("a/metrics.jsonl")))).toEqual(computed(lines));
    using model = await Llama.load(path("a/model"), { device, precision: "fp32" });
    const expected = await heldOutLoss(model, 16);
    expect(Math.abs(lines.at(-1)!.valLoss! / expected.loss - 1)).toBeLessThan(1e-5);
    const data = path("val.bin");
    const { loss, labels, bitsPerByte, tokens } = await evaluate(model, { data, sequenceLength: 16 });
    expect({ labels, bitsPerByte, tokens }).toEqual({ labels: expected.labels, bitsPerByte: undefined, tokens: held });
    expect(Math.abs(loss / expected.loss - 1)).toBeLessThan(1e-5);
    const inPatches = await evaluate(model, { data, sequenceLength: 8, patchSize: 2 });
    expect(inPatches.labels).toBeLessThan(expected.labels);
  });

  it("has the bits of a run without masks where all tokens count", async () => {
    await writeMask(path("train.bin"), ones(trained));
    await writeMask(path("val.bin"), ones(held));
    const masked = computed(await runTo(config("masked")));
    using model = await Llama.load(path("masked/model"), { device, precision: "fp32" });
    const options = { data: path("val.bin"), sequenceLength: 16 };
    const evaluated = await evaluate(model, options);
    const plain = { train: path("plain-train.bin"), val: path("plain-val.bin") };
    await writeShard(plain.train, madeTokens(trained));
    await writeShard(plain.val, madeTokens(held, 99));
    const lines = computed(await runTo(config("plain", { data: plain })));
    expect(masked.map(({ labels: _l, ...line }) => line)).toEqual(lines);
    for (const { labels } of masked) expect(labels).toBe(256 - 256 / 16);
    const { labels, ...rest } = evaluated;
    expect(rest).toEqual(await evaluate(model, { ...options, data: plain.val }));
    expect(labels).toBe(held - held / 16);
  });

  it("goes on with the same bits", async () => {
    const whole = computed(await runTo(config("whole")));
    for (const until of [3, 9]) {
      const each = config(`at-${until}`);
      expect(computed([...(await runTo(each, { until })), ...(await runTo(each, { resume: true }))])).toEqual(whole);
    }
  });
});

describe("a loss mask", () => {
  it("counts for an evaluation by several ranks what all of them have", async () => {
    using model = Llama.create({ ...madeModel }, { device: "cpu", precision: "fp32", seed: 3 });
    const options = { data: path("val.bin"), sequenceLength: 16 };
    const { loss, labels } = await evaluate(model, options);
    // Three ranks, one after another: the last one has the sums of all.
    const sums = [0, 0];
    const results = [];
    for (let rank = 0; rank < 3; rank++) {
      let call = 0;
      const total = async (own: number) => {
        sums[call]! += own;
        return sums[call++]!;
      };
      results.push(await evaluateTogether(model, options, { ...alone, rank, size: 3 }, total).catch(() => null));
    }
    expect(results[2]!.labels).toBe(labels);
    expect(Math.abs(results[2]!.loss / loss - 1)).toBeLessThan(1e-6);
  });

  it("is told", async () => {
    const said: string[] = [];
    const log = (message: string) => void said.push(message);
    await (await Trainer.open(named("told"), { log })).close();
    expect(said).toContain("loss mask in data.train and data.val: losses are means over the labels that count");
    const plan = await planComparison(
      madeConfig(path(), { stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }] }),
    );
    expect(plan.masked).toEqual(["data.train", "data.val"]);
  });

  it("is planned for: the tokens as labels beside the tokens", async () => {
    const planned = async (changes: object) => {
      await using trainer = await Trainer.open(named(String(Math.random()), changes));
      return trainer.memoryPlan.find(({ name }) => name.startsWith("tokens of a step"))!.bytes;
    };
    const masked = await planned({});
    await writeShard(path("plain.bin"), madeTokens(trained));
    expect(masked).toBe(4 * 2 * (256 + held));
    expect(await planned({ data: { train: path("plain.bin"), val: path("val.bin") } })).toBe(4 * (256 + 2 * held));
  });

  it("makes another run of the data, where it has come or gone", async () => {
    const config = named("run");
    await runTo(config, { until: 3 });
    rmSync(path("train.mask"));
    await expect(runTo(config, { resume: true })).rejects.toThrow(
      /train\.bin: expected the shard that the run began with, train\.bin of 6000 tokens, with a loss mask \(.*\), but received train\.bin of 6000 tokens$/,
    );
    const plain = named("plain");
    await runTo(plain, { until: 3 });
    await writeMask(path("train.bin"), madeMask(trained));
    await expect(runTo(plain, { resume: true })).rejects.toThrow(/but received .* of 6000 tokens, with a loss mask$/);
  });

  it("of which no label counts makes a step of loss 0, and no evaluation", async () => {
    // The one label that counts is in a sequence that these steps do not read.
    await writeMask(path("train.bin"), new Uint8Array(trained).fill(1, 3001, 3002));
    const lines = await runTo(
      named("none", { optimizer: { lr: 3e-3, weightDecay: 0 }, train: { steps: 2 }, stages: [{ patchSize: 1 }] }),
    );
    expect(lines.map(({ loss, labels, gradNorm }) => [loss, labels, gradNorm])).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    await writeMask(path("train.bin"), new Uint8Array(trained));
    await expect(Trainer.open(named("nothing"))).rejects.toThrow(
      /train\.bin: expected a token that counts in the loss but received a loss mask that marks all of them$/,
    );
    await writeMask(path("train.bin"), new Uint8Array(trained).fill(1));
    await writeMask(path("val.bin"), new Uint8Array(held));
    await expect(Trainer.open(named("refused"))).rejects.toThrow(
      /val\.bin: expected a label that counts in 8 held-out sequences but received a loss mask that leaves out all of them$/,
    );
    using model = await Llama.load(join(path("none"), "model"), { device: "cpu", precision: "fp32" });
    await expect(evaluate(model, { data: path("val.bin"), sequenceLength: 16 })).rejects.toThrow(
      /val\.bin: expected a label that counts in 8 blocks but received a loss mask that leaves out all of them$/,
    );
  });
});
