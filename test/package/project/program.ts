import { Llama, type Preset, Tensor } from "nextpatch";
import { patchEmbedding } from "nextpatch/kernels";

const shape: Preset = {
  vocab_size: 64,
  hidden_size: 32,
  intermediate_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 1,
};
const model = Llama.create(shape, { device: "cpu", precision: "fp32", seed: 1 });
const tensor: Tensor<"f32"> = new Tensor(model.device, "f32", [3]);
tensor.write(Float32Array.of(1, 2, 3));
const values: Float32Array = await tensor.read();
const tokens = new Tensor(model.device, "i32", [2]);
tokens.write(Int32Array.of(0, 2));
const mean: Tensor<"f32"> = patchEmbedding(tokens, tensor.reshape([3, 1]), { patchSize: 2 });
const [average] = await mean.read();
if (values[2] !== 3 || average !== 2 || model.parameterCount <= 0) throw new Error("the addon computes something else");
// @ts-expect-error: a device is not any text
void (() => Llama.create(shape, { device: "gpu" }));
