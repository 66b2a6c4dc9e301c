import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { defineConfig, loadRunConfig, parseRunConfig } from "../../lib/config/config.js";
import { runConfigJsonSchema } from "../../lib/config/schema.js";
import { ConfigError } from "../../lib/errors.js";

const example = `
name: sotu-tiny
model:
  hidden_size: 192
  intermediate_size: 512
  num_hidden_layers: 4
  num_attention_heads: 6
  num_key_value_heads: 6
  vocab_size: 4096
  tie_word_embeddings: false
init: { seed: 1 }
data: { train: data/sotu/train_*.bin, val: data/sotu/val_*.bin }
stages:
  - { patchSize: 4, fraction: 0.6667 }
  - { patchSize: 1 }
batch: { tokensPerStep: 16384, sequenceLength: 256, microBatch: auto }
train: { tokens: 8000000 }
optimizer: { lr: 3e-4, betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, gradClip: 1.0 }
schedule: { type: cosine, warmupSteps: 100, minLrRatio: 0 }
eval: { everySteps: 50, sequences: 64 }
checkpoint: { everySteps: 500, keep: 2 }
device: auto
precision: auto
seed: 1
out: runs/sotu-tiny
`;

const minimal = {
  name: "r",
  model: { preset: "tiny" },
  data: { train: "train.bin" },
  batch: { tokensPerStep: 1024, sequenceLength: 128 },
  train: { steps: 10 },
};

it("reads what a run writes as its config.json", () => {
  const { model: _, ...continued } = { ...minimal, init: { from: "model" } };
  for (const given of [minimal, continued, { ...minimal, optimizer: { type: "muon" } }]) {
    const resolved = parseRunConfig(given, "given");
    expect(parseRunConfig(JSON.parse(JSON.stringify(resolved)), "config.json")).toEqual(resolved);
  }
});

it("is deeply frozen, and leaves what was given as it was", () => {
  const given = {
    ...minimal,
    stages: [{ patchSize: 2, fraction: 0.5 }, { patchSize: 1 }],
    model: { ...minimal.model },
  };
  const config = defineConfig({ ...given, model: { preset: "tiny", eos_token_id: [1, 2] } });
  for (const part of [config, config.stages, config.stages[0], config.optimizer.betas, config.model]) {
    expect(Object.isFrozen(part)).toBe(true);
  }
  given.stages[0]!.patchSize = 4;
  expect(config.stages[0]!.patchSize).toBe(2);
});

it("is the same object for defineConfig, whose messages name it config", () => {
  const { train: _, ...rest } = minimal;
  expect(defineConfig({ ...minimal, model: { preset: "tiny" } })).toEqual(parseRunConfig(minimal));
  expect(() => defineConfig(rest as never)).toThrow("config: train: expected a section of keys but received nothing");
});

it("is made of another with some keys changed", () => {
  const init = { from: "model" };
  for (const given of [
    { ...minimal, model: undefined, init },
    { ...minimal, data: { train: "a.bin" } },
  ]) {
    const config = parseRunConfig(given);
    const longer = { ...config.train, steps: 99 };
    expect(defineConfig({ ...config, train: longer })).toEqual({ ...config, train: longer });
  }
});

function problemsOf(run: () => unknown): readonly string[] {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).message).toBe((error as ConfigError).problems.join("\n"));
    return (error as ConfigError).problems;
  }
  return [];
}
const problems = (config: object) => problemsOf(() => parseRunConfig(config, "c.yaml"));

describe("all problems at once", () => {
  it("has conflicts between sections that are right, beside sections that are wrong", () => {
    const config = {
      ...minimal,
      modle: {},
      seed: -1,
      batch: { tokensPerStep: 1000, sequenceLength: 128 },
      stages: [{ patchSize: 2 }, { patchSize: 1 }],
      train: {},
      eval: {},
      optimizer: { lr: "fast" },
      schedule: { decayFraction: 0.2 },
    };
    expect(problems(config)).toEqual([
      'c.yaml: optimizer.lr: expected a number but received "fast"',
      "c.yaml: seed: expected a number of at least 0 but received -1",
      "c.yaml: modle: unknown key; did you mean model?",
      "c.yaml: eval: expected held-out data in data.val but received nothing",
      "c.yaml: train: expected exactly one of tokens, epochs, steps or flops but received nothing " +
        "(--set 'train={steps: 10}' replaces the section)",
      "c.yaml: stages: expected at most one without a fraction or steps but received 2: stages[0], stages[1]",
      "c.yaml: schedule.decayFraction: expected it for type wsd only but received it for type cosine",
      "c.yaml: batch.tokensPerStep: expected a multiple of patchSize 2 * sequenceLength 128 = 256 for stages[0] " +
        "but received 1000; nearest that works: 1024",
      "c.yaml: batch.tokensPerStep: expected a multiple of patchSize 1 * sequenceLength 128 = 128 for stages[1] " +
        "but received 1000; nearest that works: 1024",
    ]);
  });

  it("has none that may come of a section that is wrong", () => {
    expect(problems({ ...minimal, trian: { steps: 1 }, train: undefined, recipe: "papre", eval: {}, data: 1 })).toEqual(
      [
        expect.stringMatching(/recipe: expected paper or superposition/),
        expect.stringMatching(/data: expected a section of keys/),
        expect.stringMatching(/train: expected a section of keys/),
        expect.stringMatching(/trian: unknown key; did you mean train/),
      ],
    );
    expect(problems({ model: { preset: "tiny" }, data: { train: "t" }, batch: { tokensPerStep: 3 } })).toEqual([
      expect.stringMatching(/name: expected a text/),
      expect.stringMatching(/batch.sequenceLength: expected/),
      expect.stringMatching(/train: expected a section of keys/),
    ]);
  });
});

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nextpatch-config-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(text: string, name = "config.yaml"): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe("a run config", () => {
  it("is read from YAML, and from JSON whatever the file is called", async () => {
    const config = await loadRunConfig(file(example));
    expect(config.optimizer).toEqual({
      type: "adamw",
      lr: 3e-4,
      betas: [0.9, 0.95],
      eps: 1e-8,
      weightDecay: 0.1,
      gradClip: 1,
    });
    expect(config.stages).toEqual([{ patchSize: 4, fraction: 0.6667 }, { patchSize: 1 }]);
    expect(config.model).toMatchObject({ hidden_size: 192, head_dim: 32, max_position_embeddings: 2048 });
    expect(config.init).toEqual({ seed: 1 });
    const { model, ...rest } = config;
    const json = JSON.stringify({ ...rest, model: { preset: "tiny" } }, null, "\t");
    expect(await loadRunConfig(file(json, "json-inside.yaml"))).toEqual({ ...rest, model });
  });

  it("fills in defaults", () => {
    expect(parseRunConfig({ ...minimal, data: { train: ["a", "b"], val: "v" }, seed: 7 }, "c")).toMatchObject({
      init: { seed: 7 },
      stages: [{ patchSize: 1 }],
      batch: { tokensPerStep: 1024, sequenceLength: 128, microBatch: "auto" },
      optimizer: { type: "adamw", lr: 3e-4, betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, gradClip: 1 },
      schedule: { type: "cosine", warmupSteps: 100, minLrRatio: 0, perStage: true },
      keepOptimizer: false,
      labelWeights: "uniform",
      eval: { everySteps: 100, sequences: 64 },
      checkpoint: { everySteps: 500, keep: 2 },
      device: "auto",
      precision: "auto",
      productTable: null,
      out: "runs/r",
    });
    expect(parseRunConfig(minimal, "c").eval).toBeNull();
  });

  it("fills in Muon's defaults, which are PyTorch's, if it is the optimizer", () => {
    const defaults = { lr: 1e-3, momentum: 0.95, nesterov: true, nsSteps: 5, adjustLr: "original" };
    const muonOf = (optimizer: object) => parseRunConfig({ ...minimal, optimizer }, "c").optimizer.muon;
    expect(muonOf({ type: "muon" })).toEqual(defaults);
    expect(muonOf({ type: "muon", muon: { lr: 0.02 } })).toEqual({ ...defaults, lr: 0.02 });
    expect(muonOf({})).toBeUndefined();
  });

  it("does not fill a stage's overrides with defaults", () => {
    const stages = [{ patchSize: 2, optimizer: { lr: 1e-3 }, schedule: { warmupSteps: 5 }, batch: { microBatch: 2 } }];
    expect(parseRunConfig({ ...minimal, stages }, "c").stages).toEqual(stages);
  });

  it("takes a preset with changes, and whole config.json keys without meaning here", () => {
    const model = {
      preset: "tiny",
      num_attention_heads: 2,
      use_cache: true,
      _name_or_path: "x",
      torch_dtype: "float16",
    };
    expect(parseRunConfig({ ...minimal, model }, "c").model).toMatchObject({ head_dim: 96, num_key_value_heads: 2 });
  });

  it("needs no model section where a checkpoint brings it", () => {
    const { model: _, ...rest } = minimal;
    const config = parseRunConfig({ ...rest, init: { from: "some/model" } }, "c");
    expect(config.model).toBeNull();
    expect(config.init).toEqual({ from: "some/model" });
    expect(problems(rest)).toEqual([
      "c.yaml: model: expected a model, unless init.from names a checkpoint, but received nothing",
    ]);
  });

  it.each(["auto", "cpu", "cuda", "cuda:3", "simt"])("knows the device %s", (device) => {
    expect(parseRunConfig({ ...minimal, device }, "c").device).toBe(device);
  });
});

describe("problems", () => {
  it("are told all at once, each with its key", () => {
    const config = {
      ...minimal,
      model: { preset: "tiny", hiden_size: 3, num_key_value_heads: 4 },
      batch: { tokensPerStep: 1024.5, sequenceLenght: 128, microBatch: "some" },
      optimizer: { weight_decay: 0.1, lr: -1, betas: [0.9] },
      stages: [{ patchSize: 0, schedule: { perStage: true, typ: "wsd" } }],
      precision: "fp16",
      device: "gpu",
      seeed: 3,
    };
    expect([...problems(config)].sort()).toEqual(
      [
        "c.yaml: model.hiden_size: unknown key; did you mean hidden_size?",
        "c.yaml: model.num_key_value_heads: expected a divisor of num_attention_heads (6) but received 4",
        "c.yaml: batch.tokensPerStep: expected an integer but received 1024.5",
        "c.yaml: batch.sequenceLength: expected a number but received nothing",
        "c.yaml: batch.sequenceLenght: unknown key; did you mean sequenceLength?",
        'c.yaml: batch.microBatch: expected "auto" or a positive integer but received "some"',
        "c.yaml: optimizer.lr: expected a number greater than 0 but received -1",
        "c.yaml: optimizer.betas: expected a list of 2 or more but received [0.9]",
        "c.yaml: optimizer.weight_decay: unknown key; did you mean weightDecay?",
        "c.yaml: stages[0].patchSize: expected a number of at least 1 but received 0",
        "c.yaml: stages[0].schedule.perStage: unknown key; expected one of type, warmupSteps, minLrRatio, decayFraction",
        "c.yaml: stages[0].schedule.typ: unknown key; did you mean type?",
        'c.yaml: precision: expected auto, bf16 or fp32 but received "fp16"',
        'c.yaml: device: expected auto, cpu, cuda, cuda:N or simt but received "gpu"',
        "c.yaml: seeed: unknown key; did you mean seed?",
      ].sort(),
    );
  });

  it.each<[string, object, string]>([
    [
      "a product table without a name",
      { productTable: "" },
      'productTable: expected a text that is not empty but received ""',
    ],
    [
      "a step of broken sequences",
      { batch: { tokensPerStep: 1000, sequenceLength: 128 } },
      "batch.tokensPerStep: expected a multiple of patchSize 1 * sequenceLength 128 = 128 for stages[0] but received 1000; " +
        "nearest that works: 1024",
    ],
    [
      "a step that only some stages can use: the hint works for all",
      {
        data: { train: "train.bin", shuffleTokens: 1536 },
        stages: [{ patchSize: 3, fraction: 0.5 }, { patchSize: 4 }],
        batch: { tokensPerStep: 1536, sequenceLength: 128 },
      },
      "",
    ],
    [
      "sequences that do not divide the longest ones, by which the data is shuffled",
      {
        stages: [{ patchSize: 3, fraction: 0.5 }, { patchSize: 4 }],
        batch: { tokensPerStep: 1536, sequenceLength: 128 },
      },
      "stages[0]: expected patchSize * sequenceLength to divide that of the longest stage, 512, but received 384",
    ],
    [
      "a step that one stage cannot use",
      {
        stages: [{ patchSize: 3, fraction: 0.5 }, { patchSize: 4 }],
        batch: { tokensPerStep: 1024, sequenceLength: 128 },
      },
      "batch.tokensPerStep: expected a multiple of patchSize 3 * sequenceLength 128 = 384 for stages[0] but received 1024; " +
        "nearest that works: 1536",
    ],
    [
      "a stage's own step",
      { stages: [{ patchSize: 4, batch: { tokensPerStep: 100 } }] },
      "stages[0].batch.tokensPerStep: expected a multiple of patchSize 4 * sequenceLength 128 = 512 for stages[0] " +
        "but received 100; nearest that works: 512",
    ],
    [
      "passes that do not fill a step",
      { batch: { tokensPerStep: 1024, sequenceLength: 128, microBatch: 3 } },
      "batch.microBatch: expected a divisor of the 8 sequences per step of stages[0] but received 3",
    ],
    [
      "sequences longer than the model's positions",
      { batch: { tokensPerStep: 4096, sequenceLength: 4096 } },
      "batch.sequenceLength: expected at most model.max_position_embeddings (2048) but received 4096",
    ],
    [
      "held-out sequences longer than the model's positions, where every stage has shorter ones of its own",
      {
        data: { train: "train.bin", val: "val.bin" },
        stages: [{ patchSize: 1, batch: { sequenceLength: 1024 } }],
        batch: { tokensPerStep: 4096, sequenceLength: 4096 },
      },
      "batch.sequenceLength: expected at most model.max_position_embeddings (2048) but received 4096",
    ],
    [
      "two lengths",
      { train: { steps: 3, epochs: 1 } },
      "train: expected exactly one of tokens, epochs, steps or flops but received epochs and steps " +
        "(--set 'train={steps: 10}' replaces the section)",
    ],
    [
      "no length",
      { train: {} },
      "train: expected exactly one of tokens, epochs, steps or flops but received nothing " +
        "(--set 'train={steps: 10}' replaces the section)",
    ],
    [
      "shares over the whole",
      {
        stages: [
          { patchSize: 2, fraction: 0.7 },
          { patchSize: 1, fraction: 0.5 },
        ],
      },
      "stages: expected fractions that sum to at most 1 but received 1.2",
    ],
    [
      "shares of two kinds",
      {
        stages: [
          { patchSize: 4, fraction: 0.3, of: "steps" },
          { patchSize: 2, fraction: 0.3 },
        ],
      },
      "stages: expected fractions of one kind, all of tokens, steps or flops, but received steps and tokens",
    ],
    [
      "a kind of share without a share",
      {
        stages: [
          { patchSize: 4, fraction: 0.3 },
          { patchSize: 1, of: "steps" },
        ],
      },
      "stages[1].of: expected a fraction beside it, to be a share of steps, but received none",
    ],
    [
      "a step of two sizes",
      { batch: { tokensPerStep: 1024, positionsPerStep: 1024, sequenceLength: 128 } },
      "batch: expected exactly one of tokensPerStep or positionsPerStep but received both",
    ],
    [
      "a step of no size",
      { batch: { sequenceLength: 128 } },
      "batch: expected exactly one of tokensPerStep or positionsPerStep but received nothing",
    ],
    [
      "a stage's step of two sizes",
      { stages: [{ patchSize: 4, batch: { tokensPerStep: 1024, positionsPerStep: 1024 } }] },
      "stages[0].batch: expected exactly one of tokensPerStep or positionsPerStep but received both",
    ],
    [
      "positions of broken sequences, told once",
      {
        stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }],
        batch: { positionsPerStep: 1000, sequenceLength: 128 },
      },
      "batch.positionsPerStep: expected a multiple of sequenceLength 128 but received 1000; nearest that works: 1024",
    ],
    [
      "a stage's own positions",
      { stages: [{ patchSize: 4, batch: { positionsPerStep: 100, sequenceLength: 64 } }] },
      "stages[0].batch.positionsPerStep: expected a multiple of sequenceLength 64 but received 100; " +
        "nearest that works: 128",
    ],
    [
      "two rests",
      { stages: [{ patchSize: 2 }, { patchSize: 1 }] },
      "stages: expected at most one without a fraction or steps but received 2: stages[0], stages[1]",
    ],
    [
      "steps beside a fraction",
      { stages: [{ patchSize: 2, fraction: 0.5, steps: 3 }, { patchSize: 1 }] },
      "stages[0]: expected either steps or fractions but received both",
    ],
    [
      "steps and fractions",
      { stages: [{ patchSize: 4, steps: 3 }, { patchSize: 2, fraction: 0.5 }, { patchSize: 1 }] },
      "stages: expected either steps or fractions but received steps in stages[0] and a fraction in stages[1]",
    ],
    [
      "steps in all stages",
      { stages: [{ patchSize: 1, steps: 3 }] },
      "stages: expected one without steps, which gets the rest of the run's length (train), but received none",
    ],
    [
      "no rest left",
      { stages: [{ patchSize: 2, fraction: 1 }, { patchSize: 1 }] },
      "stages[1]: expected other stages whose fractions sum to less than 1 but received 1: nothing is left for it",
    ],
    ["two beginnings", { init: { seed: 1, from: "m" } }, "init: expected seed or from but received both"],
    [
      "nothing to evaluate on",
      { eval: { everySteps: 5 } },
      "eval: expected held-out data in data.val but received nothing",
    ],
    [
      "settings of Muon without it",
      { optimizer: { muon: { lr: 0.02 } } },
      "optimizer.muon: expected it for optimizer.type muon only but received it for type adamw",
    ],
    [
      "settings of Muon without it in a stage",
      { stages: [{ patchSize: 1, optimizer: { muon: { lr: 0.02 } } }] },
      "stages[0].optimizer.muon: expected it for optimizer.type muon only but received it for type adamw",
    ],
    [
      "another optimizer in a stage",
      { stages: [{ patchSize: 1, optimizer: { type: "muon" } }] },
      "stages[0].optimizer.type: unknown key; expected one of lr, betas, eps, weightDecay, gradClip, muon",
    ],
    [
      "too many steps of Newton-Schulz",
      { optimizer: { type: "muon", muon: { nsSteps: 100 } } },
      "optimizer.muon.nsSteps: expected a number of at most 99 but received 100",
    ],
    [
      "a decay of another schedule",
      { schedule: { type: "cosine", decayFraction: 0.2 } },
      "schedule.decayFraction: expected it for type wsd only but received it for type cosine",
    ],
    [
      "a stage's schedule inside one over the run",
      { schedule: { perStage: false }, stages: [{ patchSize: 1, schedule: { warmupSteps: 3 } }] },
      "stages[0].schedule: expected none, since schedule.perStage is false, but received one",
    ],
    [
      "an unknown preset",
      { model: { preset: "llama-370" } },
      'model.preset: expected one of tiny, llama-370m, llama-780m, llama-1.3b, llama-2.7b but received "llama-370"; ' +
        "did you mean llama-370m?",
    ],
    [
      "another architecture",
      { model: { preset: "tiny", model_type: "gpt2" } },
      'model.model_type: expected "llama", "mistral", "qwen2", "qwen3", "smollm3", "olmo2" or "gemma3_text" but received "gpt2"',
    ],
    [
      "data that is no name",
      { data: { train: 3 } },
      "data.train: expected a file name, a pattern, a list of them or a list of { path, weight, format } but received 3",
    ],
    [
      "an empty list of data",
      { data: { train: [] } },
      "data.train: expected a file name, a pattern, a list of them or a list of { path, weight, format } but received []",
    ],
    [
      "a misspelt key of an entry of data",
      { data: { train: [{ path: "a.bin", wieght: 2 }] } },
      "data.train[0].wieght: unknown key; did you mean weight?",
    ],
    [
      "a wrong value in an entry of data",
      { data: { train: [{ path: "a.bin" }, { path: "b.bin", format: "hf" }] } },
      'data.train[1].format: expected llmc, nanogpt or megatron but received "hf"',
    ],
    [
      "a list of data with something else in it",
      { data: { train: ["a.bin", 3] } },
      'data.train: expected a file name, a pattern, a list of them or a list of { path, weight, format } but received ["a.bin",3]',
    ],
    ["another way to share", { parallel: { zero: 3 } }, "parallel.zero: expected 1 or 2 but received 3"],
    ["no stages", { stages: [] }, "stages: expected a list of 1 or more but received []"],
    ["a section that is a number", { batch: 3 }, "batch: expected a section of keys but received 3"],
    ["a rate that is not one", { optimizer: { lr: Number.NaN } }, "optimizer.lr: expected a number but received NaN"],
  ])("%s", (_, change, message) => {
    expect(problems({ ...minimal, ...change })).toEqual(message === "" ? [] : [`c.yaml: ${message}`]);
  });

  it("names each missing key of a model without a preset", () => {
    expect(problems({ ...minimal, model: { hidden_size: 64, num_attention_heads: 2, vocab_size: 9 } })).toEqual([
      "c.yaml: model.intermediate_size: expected a value, unless a preset is named, but received nothing",
      "c.yaml: model.num_hidden_layers: expected a value, unless a preset is named, but received nothing",
    ]);
  });

  it.each([null, 3, "text", []])("a config that is no section of keys: %j", (value) => {
    expect(problems(value as unknown as object)).toEqual([
      `c.yaml: expected a section of keys but received ${JSON.stringify(value)}`,
    ]);
  });

  it("of the file itself are one line", async () => {
    await expect(loadRunConfig(join(folder, "absent.yaml"))).rejects.toThrow(
      /absent.yaml: expected a run config but received a file that does not exist$/,
    );
    await expect(loadRunConfig(file("a: [1, 2"))).rejects.toThrow(/^[^\n]*config.yaml: [^\n]*$/);
    await expect(loadRunConfig(file("a: 1\na: 2"))).rejects.toThrow(
      /config.yaml: expected YAML or JSON but received other text: Map keys must be unique/,
    );
  });
});

describe("--set", () => {
  const load = (...set: string[]) => loadRunConfig(file(example), { set });

  it("changes values, list entries and whole sections, and adds what is missing", async () => {
    const config = await load(
      "stages[0].patchSize=2",
      "stages.1.optimizer.lr=1e-3",
      "train={steps: 12}",
      "optimizer.betas=[0.8, 0.9]",
      "optimizer.gradClip=null",
      "name=a=b",
      "keepOptimizer=true",
    );
    expect(config.stages[0]!.patchSize).toBe(2);
    expect(config.stages[1]).toEqual({ patchSize: 1, optimizer: { lr: 1e-3 } });
    expect(config.train).toEqual({ steps: 12 });
    expect(config.optimizer).toMatchObject({ betas: [0.8, 0.9], gradClip: null });
    expect(config).toMatchObject({ name: "a=b", keepOptimizer: true });
    const appended = await load("stages[1].fraction=0.1", "stages[2].patchSize=1");
    expect(appended.stages[2]).toEqual({ patchSize: 1 });
  });

  it.each([
    ["steps", /--set: expected path=value, .* but received "steps"$/],
    ["=3", /--set: expected path=value, .* but received "=3"$/],
    ["batch..x=3", /expected path=value/],
    ["__proto__.polluted=1", /expected path=value/],
    ["stages.5.patchSize=2", /stages: expected an index from 0 to 2 but received "5"/],
    ["stages.first.patchSize=2", /stages: expected an index from 0 to 2 but received "first"/],
    ["name.x=2", /name: expected a section of keys to set x in but received "sotu-tiny"/],
    ["seed=[1", /expected the value as YAML/],
    ["bach.tokensPerStep=4", /config.yaml: bach: unknown key; did you mean batch\?/],
    ["seed=one", /config.yaml: seed: expected a number but received "one"/],
  ])("%s is told", async (override, message) => {
    const failure = load(override);
    await expect(failure).rejects.toBeInstanceOf(ConfigError);
    await expect(failure).rejects.toThrow(message);
  });
});

describe("the JSON schema", () => {
  it("documents every field", () => {
    const undocumented: string[] = [];
    const visit = (schema: Record<string, unknown>, path: string) => {
      for (const [key, value] of Object.entries((schema.properties ?? {}) as Record<string, Record<string, unknown>>)) {
        if (typeof value.description !== "string") undocumented.push(`${path}${key}`);
        visit(value, `${path}${key}.`);
      }
      if (schema.items) visit(schema.items as Record<string, unknown>, `${path}[].`);
    };
    const schema = runConfigJsonSchema();
    visit(schema, "");
    expect(undocumented).toEqual([]);
    expect(Object.keys(schema.properties as object)).toContain("labelWeights");
    expect(schema.required).toEqual(["name", "data", "batch", "train"]);
  });
});
