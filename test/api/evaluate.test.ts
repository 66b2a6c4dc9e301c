import { readdirSync, readlinkSync } from "node:fs";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { DataError } from "../../lib/errors.js";
import { type EvaluateOptions, evaluate } from "../../lib/evaluate.js";
import { Llama } from "../../lib/nn/llama.js";
import { backends, open } from "../support/backends.js";
import { writeShard } from "../support/made_run.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
const data = () => path("tokens.bin");
beforeEach(() =>
  writeShard(
    data(),
    Array.from({ length: 100 }, (_, i) => i % 50),
  ),
);

/** Whether this process has the shard open. */
function isOpen(): boolean {
  return readdirSync("/proc/self/fd").some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === data();
    } catch {
      return false; // the one that lists the folder
    }
  });
}

describe.each(backends)("evaluate on %s", (backend) => {
  /** Weights of zero: every token is as likely. */
  const model = (vocab_size = 64) =>
    Llama.create(
      {
        vocab_size,
        hidden_size: 64,
        intermediate_size: 64,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        max_position_embeddings: 16,
        initializer_range: 0,
      },
      { device: open(backend), precision: "fp32" },
    );

  it("ends where its signal is aborted, by the signal's reason, and closes the data", async () => {
    using zero = model();
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(evaluate(zero, { data: data(), signal })).rejects.toThrow("enough");
    expect(isOpen()).toBe(false);
  });

  it.each([
    { patchSize: 1, sequenceLength: 2, blocks: 50 },
    { patchSize: 4, sequenceLength: 12, blocks: 2 },
    { blocks: 6 },
  ])("reads whole blocks: %p", async ({ blocks, ...options }) => {
    using zero = model();
    const progress: number[][] = [];
    const result = await evaluate(zero, { data: data(), ...options, onProgress: (...done) => progress.push(done) });
    const { patchSize = 1, sequenceLength = 16 } = options;
    expect(result.loss).toBeCloseTo(Math.log(64), 5);
    expect(result.perplexity).toBeCloseTo(64, 2);
    expect(result.positions).toBe(blocks * sequenceLength);
    expect(result.tokens).toBe(blocks * sequenceLength * patchSize);
    expect(progress.at(-1)).toEqual([blocks, blocks]);
    expect(isOpen()).toBe(false);
  });

  it("refuses blocks in which nothing is predicted, or that cannot be", async () => {
    using zero = model();
    const refused = async (options: Partial<EvaluateOptions>, message: string) => {
      const evaluation = evaluate(zero, { data: data(), ...options });
      const [value] = Object.values(options) as unknown[];
      await expect(evaluation).rejects.toBeInstanceOf(typeof value === "number" ? RangeError : TypeError);
      await expect(evaluation).rejects.toThrow(message);
    };
    for (const sequenceLength of [1, 17, 0, 2.5, NaN, "8" as never, null as never]) {
      await refused(
        { sequenceLength },
        "evaluate: sequenceLength: expected a whole number from 2 to the model's context",
      );
    }
    for (const patchSize of [0, -1, 1.5, NaN, "1" as never, null as never]) {
      await refused({ patchSize }, "evaluate: patchSize: expected a whole number of at least 1 but received");
    }
    await refused({ data: null as never }, "evaluate: data: expected a string or an array of one or more but received");
    await refused({ data: [null] as never }, "evaluate: data[0]: expected a string but received null");
    await refused({ onProgress: "print" as never }, "evaluate: onProgress: expected a function but received");
    await expect(evaluate(zero, null as never)).rejects.toThrow(
      "evaluate: options: expected an object but received null",
    );
    await expect(evaluate({} as never, { data: data() })).rejects.toThrow(
      "evaluate: model: expected a Llama but received",
    );
  });

  it("refuses data without a block or with tokens that the model does not know", async () => {
    using zero = model();
    const short = evaluate(zero, { data: data(), patchSize: 8, sequenceLength: 13 });
    await expect(short).rejects.toBeInstanceOf(DataError);
    await expect(short).rejects.toThrow(
      /tokens\.bin: expected at least one block of 8 x 13 tokens but received 100 tokens$/,
    );
    using small = model(49);
    await expect(evaluate(small, { data: data() })).rejects.toThrow(
      /position 49: expected a token id below the vocabulary's size of 49 but received 49$/,
    );
    expect(isOpen()).toBe(false);
  });

  it("closes the data where it cannot have its memory", async () => {
    using zero = model();
    const { config, parameters, folder } = zero;
    const strange = Object.create(Llama.prototype) as Llama;
    for (const [key, value] of Object.entries({ config, parameters, folder, device: { backend } })) {
      Object.defineProperty(strange, key, { value });
    }
    await expect(evaluate(strange, { data: data() })).rejects.toThrow(/expected a Device/);
    expect(isOpen()).toBe(false);
  });
});
