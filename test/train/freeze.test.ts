/** Runs with frozen parameters; test/optim/freeze.test.ts has the steps themselves. */
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { checkRanks } from "../../lib/config/rank_checks.js";
import { Llama } from "../../lib/nn/llama.js";
import { optimizerFlops } from "../../lib/optim/optimizer.js";
import { Trainer } from "../../lib/train/trainer.js";
import { open } from "../support/backends.js";
import { computed, madeConfig, runTo, writeMadeData } from "../support/made_run.js";
import { changed, read } from "../support/parameters.js";
import { temporaryFolder } from "../support/temporary.js";

describe("a run with frozen parameters", () => {
  const path = temporaryFolder();
  beforeEach(() => writeMadeData(path()));
  const config = (changes: Record<string, unknown> = {}, type = "adamw") =>
    madeConfig(path(), {
      train: { steps: 6 },
      optimizer: { type, lr: 3e-3, freeze: ["model.layers.0.*", "lm_head.weight"], ...changes },
    });

  it.each(["adamw", "muon"])(
    "leaves them as they were through its stages, and goes on to the same bits: %s",
    async (type) => {
      const whole = computed(await runTo(config({}, type)));
      const device = open("cpu");
      using trained = await Llama.load(join(path("run"), "model"), { device, precision: "fp32" });
      using begun = Llama.create(madeConfig(path()).model!, { device, precision: "fp32", seed: 1 });
      const names = changed(await read(begun), await read(trained));
      expect(names.filter((name) => /^(model\.layers\.0\.|lm_head)/.test(name))).toEqual([]);
      expect(names.length).toBe(1 + 9 + 1);
      const cut = (changes: Record<string, unknown>) => ({ ...config(changes, type), out: path("cut") });
      const first = await runTo(cut({}), { until: 4 });
      const rest = await runTo(cut({}), { resume: true });
      expect(computed([...first, ...rest])).toEqual(whole);
    },
  );

  it("goes on with others from an earlier checkpoint only", async () => {
    await runTo(config(), { until: 4 });
    const other = config({ freeze: ["lm_head.weight"] });
    await expect(Trainer.open(other, { resume: true })).rejects.toThrow(/optimizer\.freeze/);
    expect((await runTo(other, { resume: true, from: "step-4" })).length).toBe(2);
  });

  it("counts no FLOPs of Muon for them", () => {
    const { model, optimizer } = config({}, "muon");
    const { freeze: _, ...all } = optimizer;
    expect(optimizerFlops(model!, optimizer)).toBe(optimizerFlops(model!, all) / 2);
  });

  it("says what is wrong with its patterns", () => {
    expect(() => config({ freeze: ["model.layer.0.*"] })).toThrow(
      /^made: optimizer\.freeze\[0\]: expected a parameter's name, or a pattern that matches one, such as model\.\S+, but received "model\.layer\.0\.\*"$/,
    );
    expect(() => config({ freeze: ["*"] })).toThrow("made: optimizer.freeze: expected patterns that leave a parameter");
    expect(() => madeConfig(path(), { stages: [{ patchSize: 1, optimizer: { freeze: ["lm_head.weight"] } }] })).toThrow(
      "stages[0].optimizer.freeze: unknown key",
    );
    expect(() => checkRanks(config(), 2)).toThrow("optimizer.freeze: expected none for 2 ranks but received patterns");
  });

  it("compares its patterns with the model that it begins with", async () => {
    await runTo(config());
    const from = madeConfig(path(), {
      model: null,
      init: { from: join(path("run"), "model") },
      optimizer: { freeze: ["model.layers.7.*"] },
      out: path("next"),
    });
    await expect(Trainer.open(from)).rejects.toThrow(
      /^optimizer\.freeze\[0\]: expected a parameter's name, or a pattern/,
    );
  });
});
