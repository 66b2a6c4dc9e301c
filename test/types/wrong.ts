/**
 * Configs and calls that must not compile. The comment above each says with which error; test/types/wrong.test.ts holds
 * the compiler to it, and to no error elsewhere.
 */
import {
  compare,
  type Device,
  defineConfig,
  evaluate,
  exportGguf,
  generate,
  Llama,
  type ModelInput,
  prepareDataset,
  presets,
  type RunConfig,
  type RunConfigInput,
  type StageInput,
  Tensor,
  TokenDataset,
  type Tokenizer,
  Trainer,
  TrainingPass,
} from "nextpatch";
import { flashAttention, patchCrossEntropy, patchEmbedding } from "nextpatch/kernels";

declare const device: Device;
declare const model: Llama;
declare const tokenizer: Tokenizer;
declare const trainer: Trainer;
declare const config: RunConfig;
declare const f32: Tensor<"f32">;
declare const bf16: Tensor<"bf16">;
declare const i32: Tensor<"i32">;

const base = {
  name: "run",
  model: { preset: "tiny" },
  data: { train: "train.bin" },
  batch: { tokensPerStep: 1024, sequenceLength: 128 },
  train: { steps: 10 },
} as const satisfies RunConfigInput;

// Right, each of them.
defineConfig(base);
defineConfig({ ...base, device: "cuda:1", stages: [{ patchSize: 4, fraction: 0.5, of: "flops" }, { patchSize: 1 }] });
defineConfig({ ...base, model: { ...presets.tiny, tie_word_embeddings: true, rope_parameters: { rope_theta: 1e4 } } });
defineConfig({ ...base, data: { train: [{ path: "a", weight: 1 }], val: ["b", "c"] }, eval: undefined });
Llama.create({ ...presets.tiny, vocab_size: 1000 });
flashAttention(bf16, bf16, bf16);

// ---- Configs: misspelled keys ----

// 2353: 'learningRate' does not exist in type 'OptimizerInput'
defineConfig({ ...base, optimizer: { learningRate: 1e-3 } });
// 2561: 'sequenceLenght' does not exist in type 'BatchInput'. Did you mean to write 'sequenceLength'?
defineConfig({ ...base, batch: { tokensPerStep: 1024, sequenceLenght: 128 } });
// 2561: 'checkpoints' does not exist in type 'RunConfigInput'. Did you mean to write 'checkpoint'?
defineConfig({ ...base, checkpoints: { keep: 3 } });
// 2353: 'warmup' does not exist in type 'ScheduleInput'
defineConfig({ ...base, schedule: { warmup: 10 } });
// 2561: 'patchsize' does not exist in type 'StageInput'. Did you mean to write 'patchSize'?
defineConfig({ ...base, stages: [{ patchsize: 4 }] });
// 2353: 'perStage' does not exist in type 'StageScheduleInput'
defineConfig({ ...base, stages: [{ patchSize: 4, schedule: { perStage: true } }] });
// 2353: 'type' does not exist in type 'StageOptimizerInput'
defineConfig({ ...base, stages: [{ patchSize: 4, optimizer: { type: "muon" } }] });
// 2353: 'path' does not exist in type 'DataInput'
defineConfig({ ...base, data: { train: "train.bin", path: "x" } });
// 2561: 'weigth' does not exist in type 'DataEntryInput'. Did you mean to write 'weight'?
defineConfig({ ...base, data: { train: [{ path: "a", weigth: 1 }] } });
// 2561: 'hiden_size' does not exist in type
defineConfig({ ...base, model: { ...presets.tiny, hiden_size: 64 } });
// 2353: 'n_layers' does not exist in type 'ModelInput'
defineConfig({ ...base, model: { preset: "tiny", n_layers: 4 } });
// 2353: 'gradClip' does not exist in type 'OptimizerMuonInput'
defineConfig({ ...base, optimizer: { type: "muon", muon: { gradClip: 1 } } });
// 2561: 'rank' does not exist in type 'ParallelInput'. Did you mean to write 'ranks'?
defineConfig({ ...base, parallel: { rank: 2 } });

// ---- Configs: keys that are missing ----

// 2741: Property 'name' is missing
defineConfig({ model: { preset: "tiny" }, data: { train: "t" }, batch: { sequenceLength: 128 }, train: {} });
// 2741: Property 'sequenceLength' is missing
defineConfig({ ...base, batch: { tokensPerStep: 1024 } });
// 2741: Property 'patchSize' is missing
defineConfig({ ...base, stages: [{ fraction: 0.5 }] });
// 2741: Property 'train' is missing
defineConfig({ ...base, data: { val: "val.bin" } });
// 2322: is not assignable to type 'ModelInput | null | undefined'
defineConfig({ ...base, model: { hidden_size: 64, num_attention_heads: 2 } });
// 2322: Type '{ weight: number; }' is not assignable to type 'string | DataEntryInput'
defineConfig({ ...base, data: { train: [{ weight: 1 }] } });

// ---- Configs: values of another kind ----

// 2322: Type 'string' is not assignable to type 'number'
defineConfig({ ...base, optimizer: { lr: "3e-4" } });
// 2322: Type '"linear"' is not assignable to type '"constant" | "cosine" | "wsd" | undefined'
defineConfig({ ...base, schedule: { type: "linear" } });
// 2820: Type '"adam"' is not assignable to type '"adamw" | "muon" | undefined'. Did you mean '"adamw"'?
defineConfig({ ...base, optimizer: { type: "adam" } });
// 2322: Type '"gpu"' is not assignable to type
defineConfig({ ...base, device: "gpu" });
// 2322: Type '"fp16"' is not assignable to type '"auto" | "bf16" | "fp32" | undefined'
defineConfig({ ...base, precision: "fp16" });
// 2322: Type '"full"' is not assignable to type
defineConfig({ ...base, recompute: "full" });
// 2322: Type '"huge"' is not assignable to type
defineConfig({ ...base, model: { preset: "huge" } });
// 2322: Type 'number' is not assignable to type 'undefined'
defineConfig({ ...base, optimizer: { betas: [0.9, 0.95, 0.99] } });
// 2322: Type 'null' is not assignable to type 'number | undefined'
defineConfig({ ...base, optimizer: { weightDecay: null } });
// 2322: Type 'true' is not assignable to type 'number | "auto" | undefined'
defineConfig({ ...base, batch: { sequenceLength: 128, tokensPerStep: 1024, microBatch: true } });
// 2322: Type '"epochs"' is not assignable to type '"flops" | "steps" | "tokens" | undefined'
defineConfig({ ...base, stages: [{ patchSize: 4, fraction: 0.5, of: "epochs" }] });
// 2820: Type '"superpositon"' is not assignable to type
defineConfig({ ...base, recipe: "superpositon" });
// 2322: Type 'number' is not assignable to type
defineConfig({ ...base, seed: 1, stages: 4 });
// 2322: Type 'string' is not assignable to type 'boolean | undefined'
defineConfig({ ...base, keepOptimizer: "true" });
// 2322: Type '"gpt2"' is not assignable to type 'ModelType | undefined'
export const wrongType: ModelInput = { ...presets.tiny, model_type: "gpt2" };
// 2820: Type '"uniforme"' is not assignable to type '"1/i" | "uniform" | undefined'. Did you mean '"uniform"'?
export const wrongStage: StageInput = { patchSize: 2, labelWeights: "uniforme" };

// ---- What is handed out is not changed ----

// 2540: Cannot assign to 'lr' because it is a read-only property
trainer.stages[0]!.optimizer.lr = 5;
// 2542: Index signature in type 'readonly ResolvedStage[]' only permits reading
trainer.stages[0] = trainer.stages[1]!;
// 2540: Cannot assign to 'seed' because it is a read-only property
trainer.config.seed = 2;
// 2540: Cannot assign to '0' because it is a read-only property
config.optimizer.betas[0] = 0.8;
// 2339: Property 'push' does not exist on type 'readonly
config.stages.push({ patchSize: 1 });
// 2540: Cannot assign to 'vocab_size' because it is a read-only property
model.config.vocab_size = 1;
// 2540: Cannot assign to 'hidden_size' because it is a read-only property
presets.tiny.hidden_size = 1;

// ---- Calls ----

// 2345: Argument of type 'Tensor<"bf16">' is not assignable to parameter of type 'Tensor<"f32">'
flashAttention(f32, bf16, bf16);
// 2345: Argument of type 'Tensor<"f32">' is not assignable to parameter of type 'Tensor<"bf16">'
flashAttention(bf16, bf16, f32);
// 2345: Argument of type 'Tensor<"i32">' is not assignable to parameter of type
flashAttention(i32, i32, i32);
// 2322: Type 'Tensor<"bf16">' is not assignable to type 'Tensor<"f32">'
flashAttention.backward(f32, { q: f32, k: f32, v: bf16, out: f32, lse: f32 });
// 2322: Type 'Tensor<"bf16">' is not assignable to type 'Tensor<"f32">'
patchEmbedding(i32, f32, { patchSize: 4, out: bf16 });
// 2322: Type 'Tensor<"bf16">' is not assignable to type 'Tensor<"f32">'
flashAttention(f32, f32, f32, { out: { out: bf16, lse: f32 } });
// 2741: Property 'losses' is missing in type
patchCrossEntropy(f32, i32, { out: { loss: f32 } });
// 2345: Argument of type 'Tensor<"f32">' is not assignable to parameter of type 'Tensor<"i32">'
patchEmbedding(f32, f32, { patchSize: 4 });
// 2345: Argument of type 'Tensor<"f32">' is not assignable to parameter of type 'Tensor<"i32">'
patchCrossEntropy(f32, f32);
// 2345: Argument of type 'Float64Array
f32.write(new Float64Array(4));
// 2345: Argument of type '"f64"' is not assignable to parameter of type
new Tensor(device, "f64", [4]);
// 2345: is not assignable to parameter of type 'Preset & ModelKeys'
Llama.create({ hidden_size: 64, num_attention_heads: 2 });
// 2322: Type '"gpu"' is not assignable to type
Llama.create(presets.tiny, { device: "gpu" });
// 2740: is missing the following properties from type 'RunConfig': init, out, eval, stages
Trainer.open(base);
// 2345: Argument of type 'string' is not assignable to parameter of type 'RunConfig'
Trainer.open("config.yaml");
// 2322: Type '"yes"' is not assignable to type '"auto" | boolean | undefined'
Trainer.open(config, { resume: "yes" });
// 2741: Property 'data' is missing
evaluate(model, { sequenceLength: 128 });
// 2561: 'temprature' does not exist in type 'GenerateOptions'. Did you mean to write 'temperature'?
generate(model, tokenizer, "Once", { temprature: 0 });
// 2345: Argument of type 'string' is not assignable to parameter of type 'Tokenizer'
generate(model, "tokenizer.json", "Once");
// 2741: Property 'out' is missing
prepareDataset({ files: ["text.txt"] });
// 2322: Type '(string | number)[]' is not assignable to type 'GivenDocuments | undefined'
prepareDataset({ documents: ["text", 3], out: "data" });
// 2322: Type 'string' is not assignable to type 'number'
TokenDataset.from(["text"]);
// 2345: Argument of type 'Float32Array<ArrayBuffer>' is not assignable to parameter of type 'DatasetIds'
TokenDataset.from(new Float32Array(3));
// 2322: Type 'string' is not assignable to type 'TokenDataset'
Trainer.open(config, { datasets: { train: "train.bin" } });
// 2322: Type '"fp4"' is not assignable to type
exportGguf("model", "model.gguf", { dtype: "fp4" });
// 2741: Property 'patchSize' is missing
new TrainingPass(model, f32, { sequences: 2, positions: 8 });
// 2345: Argument of type 'Tensor<"bf16">' is not assignable to parameter of type 'Tensor<"f32">'
new TrainingPass(model, bf16, { sequences: 2, positions: 8, patchSize: 4 });
// 2820: Type '"paperr"' is not assignable to type '"paper" | "superposition"'. Did you mean '"paper"'?
compare(config, { recipes: ["paperr"] });
