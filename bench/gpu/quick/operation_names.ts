/** The names that docs/cuda_model.ts gives a step's operations, so that a measurement finds its row. */
import type { LlamaConfig } from "../../../lib/hf/llama_config.js";
import type { Tensor } from "../../../lib/native.js";
import { widths } from "../../../lib/nn/shape.js";

const rows: Readonly<Record<string, string>> = {
  patchEmbeddingForward: "patch embedding: forward",
  patchEmbeddingBackward: "patch embedding: backward",
  attentionForward: "attention: forward",
  attentionBackward: "attention: backward",
  rmsNormForward: "RMSNorm: forward",
  rmsNormBackward: "RMSNorm: backward",
  rotary: "rotary",
  swigluForward: "SwiGLU: forward",
  swigluBackward: "SwiGLU: backward",
  crossEntropy: "cross-entropy and its gradient",
  fill: "zeroing gradients",
  gradNorm: "gradient norm",
  adamw: "AdamW",
};

/** A function that names a call of `native`; what the model does not count keeps its own name. */
export function operationNames(config: LlamaConfig): (operation: string, args: readonly unknown[]) => string {
  const { hidden, intermediate, queries, qkv } = widths(config);
  const products = new Map([
    [`${qkv} ${hidden}`, "qkv"],
    [`${hidden} ${queries}`, "attention's output"],
    [`${2 * intermediate} ${hidden}`, "gate and up"],
    [`${hidden} ${intermediate}`, "down"],
    [`${config.vocab_size} ${hidden}`, "head"],
  ]);
  return (operation, args) => {
    if (operation !== "matmul") return rows[operation] ?? operation;
    const [c, , b, transposeA, transposeB] = args as [Tensor, Tensor, Tensor, boolean, boolean];
    // The weight is an operand of the products of activations, and the result of its gradient's.
    const weight = (transposeA ? c : b).shape;
    const product = products.get(weight.join(" ")) ?? `product with ${weight.join(" x ")}`;
    return `${product}: ${transposeA ? "dW" : transposeB ? "forward" : "dx"}`;
  };
}
