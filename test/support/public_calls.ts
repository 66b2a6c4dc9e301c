/** Every public function that takes arguments, with small, valid arguments, on files in a separate folder. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as api from "../../lib/index.js";
import * as kernels from "../../lib/kernels.js";
import { madeConfig, writeMadeData } from "./made_run.js";
import { madeTokenizer } from "./made_tokenizer.js";
import {
  anyConfig,
  callback,
  config,
  flag,
  made,
  number,
  object,
  optional,
  type PublicCall,
  type Spec,
  signal,
  text,
  whole,
  word,
} from "./wrong_arguments.js";

/** Makes what the calls need in `folder`, and the calls. */
export async function publicCalls(folder: string): Promise<PublicCall[]> {
  const path = (name: string) => join(folder, name);
  await writeMadeData(folder);
  const json = madeTokenizer();
  writeFileSync(path("tokenizer.json"), json);
  mkdirSync(path("text"));
  writeFileSync(path("text/a.txt"), "some words of text, and then some more of them\n".repeat(9));

  const device = api.Device.open("cpu", { threads: 2 });
  const placement = { device, precision: "fp32" } as const;
  // The tokenizer beside the data would be the run's, too: a run needs none.
  const runConfig = madeConfig(folder, { data: { train: path("runs/train.bin"), val: path("runs/val.bin") } });
  mkdirSync(path("runs"));
  await writeMadeData(path("runs"));
  const shape = { ...runConfig.model!, vocab_size: 257, max_position_embeddings: 64 };
  const model = api.Llama.create(shape, placement);
  const tokenizer = await api.Tokenizer.fromFile(path("tokenizer.json"));
  const part = { files: [path("text/a.txt")], out: path("part"), tokenizerPath: path("tokenizer.json") };
  await api.preparePart(part, { index: 1, of: 1 });
  await model.save(path("model"), { tokenizer: { path: path("tokenizer.json"), endOfText: "e", maxLength: 64 } });
  const dataset = await api.TokenDataset.open(path("train.bin"));
  const blocks = { dataset, blockTokens: 16, unitTokens: 64, vocabSize: 96, seed: 1 };
  const loader = new api.BlockLoader(blocks);
  const loaded = await loader.next(1);
  const adamw = new api.AdamW(model.parameters);
  const muon = new api.Muon(model.parameters);
  const batch = { sequences: 2, positions: 8, patchSize: 2 };
  const pass = new api.TrainingPass(model, adamw.gradient, batch);
  const decoder = new api.Decoder(model, 32);
  const trainer = await api.Trainer.open({ ...runConfig, out: path("trainer") });

  const tensor = (dtype: api.DType, ...sizes: number[]) => {
    const written = new api.Tensor(device, dtype, sizes);
    written.write(new { f32: Float32Array, bf16: Uint16Array, i32: Int32Array }[dtype](written.size));
    return written;
  };
  const flat = tensor("f32", 4);
  const [q, k] = [tensor("f32", 1, 4, 2, 32), tensor("f32", 1, 4, 1, 32)];
  const [tokens, dout] = [tensor("i32", 6), tensor("f32", 3, 8)];
  const [logits, labels] = [tensor("f32", 3, 11), tensor("i32", 3, 2)];
  const wrongShape = [tensor("f32", 7, 5)];
  const ids = new Int32Array(4);
  const shared = (size: number) => new Float32Array(new SharedArrayBuffer(4 * size));
  const schedule = { type: "cosine", warmupSteps: 2, minLrRatio: 0, decayFraction: 0.1 };

  const targets: Record<string, Spec>[] = [
    { vocabulary: whole(9, 1, 2 ** 31) },
    { dtable: optional(made(tensor("f32", 9, 8), wrongShape)) },
    { out: optional(made(tensor("f32", 9, 8), wrongShape)) },
  ];
  const attended = { out: tensor("f32", 1, 4, 2, 32), lse: tensor("f32", 1, 2, 4) };
  const gradients = { dq: tensor("f32", 1, 4, 2, 32), dk: tensor("f32", 1, 4, 1, 32), dv: tensor("f32", 1, 4, 1, 32) };
  const patchLoss = { loss: tensor("f32", 1), losses: tensor("f32", 3) };
  /** An object of tensors to write to, each of which is checked. */
  const outputs = (value: object): Spec =>
    optional(
      made(
        value,
        Object.keys(value).map((name) => ({ ...value, [name]: wrongShape[0] })),
      ),
    );

  /** Options of which the object may be left out. */
  const options = (of: NonNullable<PublicCall["options"]>["of"]) => ({ name: "options", optional: true, of });
  const required = (name: string, of: NonNullable<PublicCall["options"]>["of"]) => ({ name, optional: false, of });

  const scoreItem = { query: "a", choices: [" a", " b"], gold: 1 };
  const devices = { ...word("cpu"), takes: ["string", "undefined"] } as const;
  const place = { device: devices, precision: optional(word("fp32")) };
  const sampling = {
    repetitionPenalty: number(1.5, 0, -1, Number.NaN),
    temperature: number(1, -1, Number.NaN),
    topK: whole(1),
    topP: number(1, -1, 2),
    minP: number(0.1, -1, 2),
    seed: whole(1),
  };
  const adamwSettings = {
    betas: { ...made([0.9, 0.95], [[2, 0.9]]), takes: ["object", "array", "proxy", "disposed tensor"] },
    eps: number(1e-8, 0, Number.NaN),
    weightDecay: number(0.1, -1, Number.NaN),
    gradClip: { ...number(1, 0, Number.NaN), takes: ["number", "null"] },
  } as const;
  const sections = ["object", "array", "proxy", "disposed tensor"] as const;
  const matrices = { momentum: 0.95, nesterov: true, nsSteps: 5, adjustLr: "original" };
  const muonSettings = {
    ...adamwSettings,
    muon: {
      ...made(matrices, [
        { ...matrices, momentum: 1 },
        { ...matrices, nsSteps: 0 },
        { ...matrices, adjustLr: "other" },
      ]),
      kinds: [{ ...matrices, nesterov: 1 }],
      takes: sections,
    },
  } as const;
  /** Each of them may be left out. */
  const leftOut = (specs: Readonly<Record<string, Spec>>) =>
    Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, optional(spec)]));
  const given = {
    ...made(["some text", { text: "and more" }]),
    takes: ["array", "undefined"],
    kinds: ["text", [3], [{}], [null]],
  } as const;
  const prepared = (folderName: string): Record<string, Spec> => ({
    files: { ...made([path("text/a.txt")], [[]]), takes: ["array"], kinds: [[3], [path("text/a.txt"), null], "x"] },
    out: text(path(folderName)),
    valFraction: optional(number(0.1, 1, -1, Number.NaN)),
    dedup: optional(flag(true)),
    shardTokens: optional(whole(1000, 1, 2 ** 31)),
    onProgress: callback,
    signal,
  });

  return [
    {
      name: "benchTrainStep",
      arguments: { device: made(device) },
      options: required("options", {
        model: object({ ...shape }),
        patchSize: whole(2, 1),
        sequenceLength: whole(8, 2),
        tokensPerStep: whole(32, 1, 17),
        precision: word("fp32"),
        steps: optional(whole(1, 1)),
        microBatch: { ...optional(whole(2, 1, 7)), kinds: ["text"] },
        productTable: { value: null, takes: ["null", "string", "undefined"] },
        log: callback,
        onStep: callback,
      }),
      call: api.benchTrainStep,
    },
    {
      name: "compare",
      arguments: { config: config({ ...runConfig, out: path("compare") }) },
      options: options({
        equalCost: optional(flag(false)),
        recipes: {
          value: undefined,
          takes: ["array", "undefined"],
          kinds: [[3], "paper"],
          range: [[], ["papr"], ["paper", "paper"]],
        },
        seeds: {
          value: undefined,
          takes: ["array", "undefined"],
          kinds: [["1"], "1"],
          range: [[], [-1], [0.5], [1, 1]],
        },
        tune: {
          ...optional(object({})),
          value: undefined,
          kinds: [{ lr: 1 }, { schedule: [1] }, { lr: [1], share: "1" }],
          range: [{}, { lr: [0] }, { schedule: ["linear"] }, { lr: [1], share: 0 }],
        },
        verifyData: optional(flag(false)),
        sweep: {
          ...optional(object({})),
          kinds: [{ patchSize: 2 }, { fraction: [null] }],
          range: [{ patchSize: [1] }],
        },
        tasks: { value: undefined, takes: ["array", "undefined"], kinds: [[3], [null], "x"], range: [[]] },
        log: callback,
        onProgress: callback,
        signal,
      }),
      call: api.compare,
    },
    {
      name: "parseSweep",
      arguments: {
        texts: { ...made(["patchSize=2,4"], [[], ["lr=1"], ["patchSize=1"]]), kinds: [[3], [null]], takes: ["array"] },
      },
      call: api.parseSweep,
    },
    {
      name: "parseTune",
      arguments: {
        texts: {
          ...made(["lr=0.1,0.2"], [[], ["patchSize=1"], ["lr=0"], ["share=1"]]),
          kinds: [[3], [null]],
          takes: ["array"],
        },
      },
      call: api.parseTune,
    },
    {
      name: "loadRunConfig",
      arguments: { path: text(path("run.json")) },
      options: options({ set: { ...optional(made(["seed=2"])), takes: ["array", "undefined"], kinds: [[3]] } }),
      call: (file: string, given: object) => {
        writeFileSync(path("run.json"), JSON.stringify(runOf(runConfig)));
        return api.loadRunConfig(file, given);
      },
    },
    {
      name: "parseRunConfig",
      arguments: { value: anyConfig(runOf(runConfig)), where: optional(text("c.yaml")) },
      call: api.parseRunConfig,
    },
    { name: "defineConfig", arguments: { config: anyConfig(runOf(runConfig)) }, call: api.defineConfig },
    {
      name: "learningRate",
      arguments: {
        schedule: object(schedule),
        baseLr: number(1, Number.NaN),
        step: whole(0, 0, 9),
        steps: whole(9, 1),
      },
      call: api.learningRate,
    },
    {
      name: "resolveStages",
      arguments: { config: config(runConfig), trainTokensAvailable: whole(6000) },
      call: api.resolveStages,
    },
    {
      name: "TokenDataset.open",
      arguments: {
        pathsOrPatterns: { ...made(path("train.bin"), [[]]), takes: ["string", "array"], kinds: [[3], [null]] },
      },
      call: async (patterns: string) => (await api.TokenDataset.open(patterns)).close(),
    },
    {
      name: "TokenDataset.from",
      arguments: { data: { ...made([1, 2, 3], [[1, -1], [0.5]]), takes: ["array"], kinds: [[1, "2"], "text"] } },
      options: options({
        mask: optional(made(Uint8Array.of(1, 0, 1), [Uint8Array.of(1, 2, 1), new Uint8Array(2)])),
        name: optional(text("ids")),
        signal,
      }),
      call: api.TokenDataset.from,
    },
    {
      name: "TokenDataset.from",
      arguments: { data: { ...given, takes: ["array"], kinds: ["text", [{}], [null]] } },
      options: options({ tokenizer: made(tokenizer), name: optional(text("texts")), signal }),
      call: api.TokenDataset.from,
    },
    {
      name: "TokenDataset.read",
      arguments: { position: whole(0, 0, 5999), out: made(new Int32Array(4)) },
      call: (position: number, out: Int32Array) => dataset.read(position, out),
    },
    {
      name: "TokenDataset.readMask",
      arguments: { position: whole(0, 0, 5999), out: made(new Uint8Array(4)) },
      call: (position: number, out: Uint8Array) => dataset.readMask(position, out),
    },
    {
      name: "TokenDataset.checkVocabulary",
      arguments: { tokens: made(ids), start: whole(0, 0, 5999), vocabulary: whole(96, 1) },
      call: (part: Int32Array, start: number, size: number) => dataset.checkVocabulary(part, start, size),
    },
    {
      name: "TokenDataset.locate",
      arguments: { position: whole(0, 0, 6000) },
      call: (position: number) => dataset.locate(position),
    },
    {
      name: "BlockLoader",
      arguments: {},
      options: required("options", {
        dataset: { ...made(dataset, [[]]), takes: ["array"], kinds: [[3]] },
        blockTokens: whole(16, 1, 48),
        unitTokens: whole(64, 1),
        vocabSize: whole(96, 1),
        seed: number(1, 0.5, Number.NaN),
        position: { ...optional(object({ epoch: 0, tokens: 0 })), range: [{ epoch: -1, tokens: 0 }] },
      }),
      call: (given: api.BlockLoaderOptions) => new api.BlockLoader(given),
    },
    {
      name: "BlockLoader.next",
      arguments: { count: whole(1, 1, 2 ** 40) },
      call: (count: number) => loader.next(count),
    },
    {
      name: "BlockLoader.maskOf",
      arguments: { tokens: made(loaded) },
      call: (tokens: Int32Array) => loader.maskOf(tokens),
    },
    {
      name: "preparePart",
      arguments: {
        options: object({ files: [path("text/a.txt")], out: path("again"), tokenizerPath: path("tokenizer.json") }),
        part: object({ index: 1, of: 1 }),
      },
      call: api.preparePart,
    },
    {
      name: "mergeParts",
      arguments: {},
      options: required("options", {
        parts: { ...made([path("part")], [[]]), takes: ["array"], kinds: [[3], [path("part"), null], "x"] },
        out: text(path("joined")),
        onProgress: callback,
        signal,
      }),
      call: api.mergeParts,
    },
    {
      name: "prepareDataset",
      arguments: {},
      options: required("options", { ...prepared("encoded"), tokenizerPath: optional(text(path("tokenizer.json"))) }),
      call: api.prepareDataset,
    },
    {
      name: "prepareDataset",
      arguments: {},
      options: required("options", { ...prepared("trained"), trainTokenizerVocab: optional(whole(258, 257, 262_145)) }),
      call: api.prepareDataset,
    },
    {
      name: "prepareDataset",
      arguments: {},
      options: required("options", { ...prepared("as asked"), trainTokenizer: optional(object({ vocab: 258 })) }),
      call: api.prepareDataset,
    },
    {
      name: "prepareDataset",
      arguments: {},
      options: required("options", {
        documents: given,
        valDocuments: given,
        out: text(path("given")),
        tokenizerPath: optional(text(path("tokenizer.json"))),
      }),
      call: api.prepareDataset,
    },
    {
      name: "Tokenizer.fromFile",
      arguments: { path: text(path("tokenizer.json")) },
      call: (p: string) => api.Tokenizer.fromFile(p),
    },
    {
      name: "Tokenizer.fromJson",
      arguments: { json: text(json), name: optional(text("t")) },
      call: (...args: [string, string]) => api.Tokenizer.fromJson(...args),
    },
    { name: "Tokenizer.encode", arguments: { text: text("a") }, call: (words: string) => tokenizer.encode(words) },
    {
      name: "Tokenizer.encodeBatch",
      arguments: { texts: { ...made(["a", "b"]), takes: ["array"], kinds: [[3], ["a", undefined]] } },
      call: (texts: string[]) => tokenizer.encodeBatch(texts),
    },
    {
      name: "Tokenizer.decode",
      arguments: {
        ids: {
          ...made([1, 2], [[-1], [0.5], [2 ** 32], Float32Array.of(0.5)]),
          takes: ["array"],
          kinds: [["1"], [null]],
        },
      },
      options: options({ keepSpecialTokens: optional(flag(true)) }),
      call: (given: number[], settings: object) => tokenizer.decode(given, settings),
    },
    {
      name: "Device",
      arguments: { backend: word("cpu"), index: whole(0, 0, 1e6), threads: whole(2, 0, 1e6) },
      call: (...args: [api.BackendName, number, number]) => new api.Device(...args),
    },
    {
      name: "Device.open",
      arguments: { spec: optional(word("cpu")) },
      options: options({ threads: optional(whole(2, 0, 1e6)) }),
      call: (...args: [api.DeviceSpec, object]) => api.Device.open(...args),
    },
    {
      name: "Device.computeDType",
      arguments: { precision: optional(word("fp32")) },
      call: (precision: api.PrecisionSpec) => device.computeDType(precision),
    },
    {
      name: "Device.mark",
      operation: "mark",
      arguments: { slot: whole(0, 0, 4096) },
      call: (slot: number) => device.mark(slot),
    },
    {
      name: "Device.marks",
      operation: "marks",
      arguments: { count: whole(1, 1, 4097) },
      call: (count: number) => device.marks(count),
    },
    {
      name: "evaluate",
      arguments: { model: made(model) },
      options: required("options", {
        data: { ...made(path("val.bin"), [[]]), takes: ["string", "array"], kinds: [[3]] },
        patchSize: optional(whole(1, 1)),
        sequenceLength: optional(whole(8, 2, 65)),
        verifyData: optional(flag(true)),
        log: callback,
        onProgress: callback,
        signal,
      }),
      call: api.evaluate,
    },
    {
      name: "activations",
      arguments: { model: made(model) },
      options: required("options", {
        data: { ...made(path("val.bin"), [[]]), takes: ["string", "array"], kinds: [[3]] },
        patchSize: optional(whole(1, 1)),
        sequenceLength: optional(whole(8, 1, 65)),
        sequences: optional(whole(1, 1)),
        threshold: optional(number(0.5, -1, Number.NaN, Number.POSITIVE_INFINITY)),
        verifyData: optional(flag(true)),
        log: callback,
        onProgress: callback,
        signal,
      }),
      call: api.activations,
    },
    {
      name: "score",
      arguments: {
        model: made(model),
        tokenizer: made(tokenizer),
        items: {
          value: [scoreItem],
          takes: ["array"],
          kinds: [[3], [null], [{ ...scoreItem, query: 3 }], [{ ...scoreItem, choices: [" a", 3] }]],
          range: [[{ ...scoreItem, gold: 2 }], [{ ...scoreItem, choices: [" a"] }], [{ ...scoreItem, task: "" }]],
        },
      },
      options: options({
        shots: optional(made({ count: 1, items: [scoreItem] }, [{ count: -1, items: [] }])),
        name: optional(text("items")),
        nameOf: callback,
        perToken: optional(flag(true)),
        onProgress: callback,
      }),
      call: api.score,
    },
    {
      name: "scoreText",
      arguments: {
        model: made(model),
        tokenizer: made(tokenizer),
        documents: { value: ["a b"], takes: ["array"], kinds: [[3]] },
      },
      options: options({
        stride: optional(whole(8, 1, 65)),
        perToken: optional(flag(true)),
        onProgress: callback,
      }),
      call: api.scoreText,
    },
    {
      name: "embed",
      arguments: {
        model: made(model),
        tokenizer: made(tokenizer),
        texts: { value: ["a b"], takes: ["array"], kinds: [[3]] },
      },
      options: options({ pooling: optional(word("last")), onProgress: callback }),
      call: api.embed,
    },
    {
      name: "convertTask",
      arguments: { name: { ...text("arc"), range: ["boolq"] }, file: text(path("arc.jsonl")) },
      options: options({ task: optional(text("a")), describe: optional({ ...text("first"), range: ["last"] }) }),
      call: api.convertTask,
    },
    {
      name: "generate",
      arguments: { model: made(model), tokenizer: made(tokenizer), prompt: text("a") },
      options: options({
        ...Object.fromEntries(Object.entries(sampling).map(([name, spec]) => [name, optional(spec)])),
        maxTokens: optional(whole(2, 1)),
        stop: { ...made(["stop"], [[""]]), takes: ["array", "undefined"], kinds: [[3]] },
        onText: callback,
        signal,
      }),
      call: api.generate,
    },
    {
      name: "streamText",
      arguments: { model: made(model), tokenizer: made(tokenizer), prompt: text("a") },
      options: options({ maxTokens: optional(whole(2, 1)), signal }),
      call: (...given: Parameters<typeof api.streamText>) => api.streamText(...given).next(),
    },
    {
      name: "generateTexts",
      arguments: {
        model: made(model),
        tokenizer: made(tokenizer),
        prompts: { ...made(["a", "a b"], [[]]), takes: ["array"], kinds: [[3]] },
      },
      options: options({ maxTokens: optional(whole(2, 1)), onProgress: callback, signal }),
      call: api.generateTexts,
    },
    {
      name: "exportGguf",
      arguments: { folder: text(path("model")), file: text(path("model.gguf")) },
      options: options({ dtype: optional(word("f16")), onProgress: callback, signal }),
      call: api.exportGguf,
    },
    {
      name: "exportHf",
      arguments: { folder: text(path("model")), out: text(path("exported")) },
      options: options({
        dtype: optional(word("f16")),
        maxShardBytes: optional(whole(1000, 1)),
        onProgress: callback,
        signal,
      }),
      call: api.exportHf,
    },
    {
      name: "parseLlamaConfig",
      // An empty object is a config: every key has its default.
      arguments: {
        json: {
          ...anyConfig({ ...shape }),
          config: ["null", "number", "string", "array", "function", "symbol", "bigint", "undefined"],
        },
        where: text("config.json"),
      },
      call: api.parseLlamaConfig,
    },
    {
      name: "Tensor",
      arguments: {
        device: made(device),
        dtype: { ...text("f32"), kinds: ["f64"] },
        shape: { ...made([2], [[], [0.5], [-1], [1, 1, 1, 1, 1]]), takes: ["array"], kinds: [["1"]] },
      },
      call: (...args: [api.Device, api.DType, number[]]) => new api.Tensor(...args),
    },
    {
      name: "Tensor.reshape",
      operation: "reshape",
      arguments: { shape: { ...made([2, 2], [[], [3], [0.5]]), takes: ["array"], kinds: [["1"]] } },
      call: (sizes: number[]) => flat.reshape(sizes),
    },
    {
      name: "Tensor.narrow",
      operation: "narrow",
      arguments: { dimension: whole(0, 0, 1), start: whole(0, 0, 4), length: whole(1, 1, 5) },
      call: (...args: [number, number, number]) => flat.narrow(...args),
    },
    ...(["write", "prefetch"] as const).map((operation) => ({
      name: `Tensor.${operation}`,
      operation,
      arguments: { data: made(new Float32Array(4), [new Float32Array(3)]) },
      call: (data: Float32Array) => flat[operation](data),
    })),
    {
      name: "Tensor.readInto",
      operation: "readInto",
      arguments: { target: { ...made(shared(4), [shared(3)]), kinds: [new Float32Array(4)] } },
      call: (target: Float32Array) => flat.readInto(target),
    },
    {
      name: "Decoder",
      arguments: { model: made(model), capacity: whole(4, 1, 65) },
      call: (...args: [api.Llama, number]) => new api.Decoder(...args).dispose(),
    },
    {
      name: "Decoder.next",
      arguments: { tokens: made(ids, [new Int32Array(0), new Int32Array(33)]) },
      options: required("sampling", sampling),
      call: (...args: [Int32Array, api.SamplingSettings]) => decoder.next(...args),
    },
    ...[api.forwardFlops, api.trainingFlops].map((call) => ({
      name: call.name,
      arguments: { config: config(shape), positions: whole(8, 1), patchSize: whole(2, 1) },
      call,
    })),
    {
      name: "stepFlops",
      arguments: { config: config(shape) },
      options: required("step", {
        positionsPerStep: whole(16, 1),
        sequenceLength: whole(8, 1),
        patchSize: whole(2, 1),
      }),
      call: api.stepFlops,
    },
    {
      name: "Llama.create",
      arguments: { config: anyConfig({ ...shape }) },
      options: options({ ...place, seed: optional(whole(0)) }),
      call: (...args: Parameters<typeof api.Llama.create>) => api.Llama.create(...args).dispose(),
    },
    {
      name: "Llama.load",
      arguments: { folder: text(path("model")) },
      options: options(place),
      call: async (...args: [string, object]) => (await api.Llama.load(...args)).dispose(),
    },
    {
      name: "Llama.parameter",
      arguments: { name: { ...text("model.norm.weight"), range: ["model.norm"] } },
      call: (name: string) => model.parameter(name),
    },
    ...[adamw, muon].map((optimizer) => ({
      name: `${optimizer.constructor.name}.gradientOf`,
      arguments: { name: { ...text("model.norm.weight"), range: ["model.norm"] } },
      call: (name: string) => optimizer.gradientOf(name),
    })),
    {
      name: "Llama.forward",
      arguments: {
        tokens: {
          ...made(
            [
              [1, 2],
              [3, 4],
            ],
            [[], [257], [-1], [0.5], [[]], [[1, 2], [1]], Array(65).fill(1)],
          ),
          takes: ["array"],
          kinds: [["1"], [1, null], [[1], 1], tensor("f32", 1, 2)],
        },
      },
      options: options({
        logits: optional(flag(true)),
        hidden: optional(flag(true)),
        patchSize: optional(whole(2, 1)),
      }),
      call: (...args: [api.TokenBatch, object]) => {
        const { logits, hidden } = model.forward(...args);
        for (const made of [logits, ...(hidden ?? [])]) made?.free();
      },
    },
    {
      name: "Llama.save",
      arguments: { folder: text(path("saved")) },
      options: {
        name: "extras",
        optional: true,
        of: { tokenizer: optional(object({ path: path("tokenizer.json"), endOfText: "e", maxLength: 64 })) },
      },
      call: (...args: [string, object]) => model.save(...args),
    },
    {
      name: "TrainingPass",
      arguments: { model: made(model), gradient: made(adamw.gradient, wrongShape) },
      options: required("batch", {
        sequences: whole(2, 1),
        positions: whole(8, 2, 65),
        patchSize: whole(2, 1),
        share: optional(number(1, Number.NaN)),
        labelWeights: {
          ...optional(made([0.5, 0.5], [[1], [Number.NaN, 1]])),
          takes: ["array", "undefined"],
          kinds: [["1", 2]],
        },
      }),
      call: (...args: [api.Llama, api.Tensor<"f32">, api.TrainingBatch]) => new api.TrainingPass(...args).dispose(),
    },
    {
      name: "TrainingPass.run",
      arguments: { tokens: made(new Int32Array(32), [new Int32Array(31)]) },
      options: options({
        accumulate: optional(flag(false)),
        mask: optional(made(new Uint8Array(32), [new Uint8Array(31), new Uint8Array(32).fill(2)])),
        labels: optional(whole(3, 0)),
      }),
      call: (...args: [Int32Array, object]) => pass.run(...args),
    },
    {
      name: "TrainingPass.countLabels",
      arguments: { mask: made(new Uint8Array(32), [new Uint8Array(31), new Uint8Array(32).fill(2)]) },
      call: (mask: Uint8Array) => pass.countLabels(mask),
    },
    {
      name: "AdamW",
      arguments: { parameters: made(model.parameters) },
      options: options({
        freeze: {
          ...optional(made(["model.norm.weight"], [["model.norm"], ["*"]])),
          takes: ["array", "undefined"],
          kinds: [[3], "*"],
        },
      }),
      call: (...args: [api.Parameters, api.OptimizerOptions]) => new api.AdamW(...args).dispose(),
    },
    {
      name: "AdamW.step",
      arguments: { learningRate: number(1e-3, Number.NaN) },
      options: { name: "settings", optional: true, of: leftOut(adamwSettings) },
      call: (...args: [number, object]) => adamw.step(...args),
    },
    {
      name: "AdamW.prepareStep",
      arguments: { learningRate: number(1e-3, Number.NaN) },
      options: required("settings", adamwSettings),
      call: (...args: [number, api.AdamWSettings]) => adamw.prepareStep(...args),
    },
    {
      name: "Muon",
      arguments: { parameters: made(model.parameters) },
      options: options({
        freeze: {
          ...optional(made(["model.norm.weight"], [["model.norm"], ["*"]])),
          takes: ["array", "undefined"],
          kinds: [[3], "*"],
        },
      }),
      call: (...args: [api.Parameters, api.OptimizerOptions]) => new api.Muon(...args).dispose(),
    },
    ...(["step", "prepareStep"] as const).map((method) => ({
      name: `Muon.${method}`,
      arguments: {
        learningRates: {
          ...made({ adamw: 1e-3, muon: 0.02 }, [
            { adamw: Number.NaN, muon: 0.02 },
            { adamw: 1e-3, muon: Number.NaN },
          ]),
          kinds: [{ adamw: 1e-3 }],
          takes: sections,
        },
      },
      options:
        method === "prepareStep"
          ? required("settings", muonSettings)
          : { name: "settings", optional: true, of: leftOut(muonSettings) },
      call: (...args: [api.MuonRates, api.MuonSettings]) => muon[method](...args),
    })),
    {
      name: "AdamW.applyStep",
      arguments: { onNorm: callback },
      call: (onNorm?: () => void) => adamw.applyStep(onNorm),
    },
    {
      name: "Muon.applyStep",
      arguments: { onNorm: callback },
      call: (onNorm?: () => void) => muon.applyStep(onNorm),
    },
    {
      name: "Trainer.open",
      arguments: { config: config({ ...runConfig, out: path("opened") }) },
      options: options({
        resume: optional(flag(false)),
        force: optional(flag(false)),
        datasets: { ...optional(object({})), kinds: [{ train: 3 }] },
        learningRate: callback,
        onStage: callback,
        onStep: callback,
        onEvaluation: callback,
        onCheckpoint: callback,
        log: callback,
        signal,
      }),
      call: async (...args: [api.RunConfig, object]) => (await api.Trainer.open(...args)).close(),
    },
    {
      name: "Trainer.writeReport",
      arguments: { sample: optional(object({ prompt: "a", text: "b" })) },
      call: async (sample: { prompt: string; text: string }) => {
        if (trainer.step === 0) for await (const _ of trainer.run()) break; // a report is of a step
        await trainer.writeReport(sample);
      },
    },
    {
      name: "patchEmbedding",
      arguments: { tokens: made(tokens), table: made(tensor("f32", 9, 8)) },
      options: required("options", { patchSize: whole(2, 1, 4), out: optional(made(tensor("f32", 3, 8), wrongShape)) }),
      call: kernels.patchEmbedding,
    },
    ...targets.map((target) => ({
      name: "patchEmbedding.backward",
      arguments: { dout: made(dout), tokens: made(tokens, [tensor("i32", 7)]) },
      options: required("target", target),
      call: kernels.patchEmbedding.backward,
    })),
    {
      name: "flashAttention",
      arguments: { q: made(q, wrongShape), k: made(k, wrongShape), v: made(k, wrongShape) },
      options: options({ scale: optional(number(1, Number.NaN, 1e7)), out: outputs(attended) }),
      call: kernels.flashAttention,
    },
    {
      name: "flashAttention.backward",
      arguments: { dout: made(q, wrongShape) },
      options: required("saved", {
        q: made(q),
        k: made(k, wrongShape),
        v: made(k, wrongShape),
        out: made(q, wrongShape),
        lse: made(tensor("f32", 1, 2, 4), wrongShape),
        scale: optional(number(1, Number.NaN, 1e7)),
      }),
      call: kernels.flashAttention.backward,
    },
    {
      name: "flashAttention.backward",
      arguments: { dout: made(q, wrongShape), saved: object({ q, k, v: k, ...attended }) },
      options: options({ out: outputs(gradients) }),
      call: kernels.flashAttention.backward,
    },
    ...[kernels.patchCrossEntropy, kernels.patchCrossEntropy.backward].map((call) => ({
      name: call === kernels.patchCrossEntropy ? "patchCrossEntropy" : "patchCrossEntropy.backward",
      arguments: { logits: made(logits), labels: made(labels, [tensor("i32", 5, 2)]) },
      options: options({
        weights: {
          ...optional(made([1, 1], [[1], [Number.NaN, 1]])),
          takes: ["array", "undefined"],
          kinds: [["1", 2]],
        },
        out: outputs(patchLoss),
      }),
      call,
    })),
  ] as PublicCall[];
}

/** A run config as a file has it, which leaves out what is null. */
function runOf({ model, ...rest }: api.RunConfig): object {
  return JSON.parse(JSON.stringify({ ...rest, model })) as object;
}
