/** Benchmarks of the operations of a Muon step, on matrices of a layer's MLP. */
import { bytesOf } from "../../device.js";
import { native } from "../../native.js";
import type { ComputeDType, KernelCase } from "./case.js";
import { costs } from "./cost.js";
import type { LayerShape } from "./shapes.js";

/** Layers whose matrices are taken at once: with llama-370m on a GPU, 5 of [2816, 1024]. */
const L = 5;

export function muonCases({ C, I }: LayerShape, dt: ComputeDType): KernelCase[] {
  const cost = costs(bytesOf(dt));
  const E = C * I;
  /** As MuonHyper in kernels.h. */
  const hyper = Float32Array.of(0.02, 0.95, 0.1, 1);

  /** c = op(a) op(b) + add, of the matrices of a step of Newton-Schulz for [I, C]. */
  function product(M: number, N: number, K: number, op: "TN" | "NN", adds: boolean): KernelCase {
    return {
      name: "batched_matmul",
      shape: { L, M, N, K, op, ...(adds && { add: "added" }) },
      cost: cost.batchedMatmul(L, M, N, K, adds),
      prepare(tensors) {
        // Small, so that the products stay finite whatever is repeated.
        const a = tensors.normal(dt, op === "TN" ? [L, K, M] : [L, M, K], 0.01);
        const b = tensors.normal(dt, [L, K, N], 0.01);
        const add = adds ? tensors.normal(dt, [L, M, N], 0.01) : null;
        const c = tensors.empty(dt, [L, M, N]);
        return { call: () => native.batchedMatmul(c, a, b, add, op === "TN", false, 1, 1) };
      },
    };
  }

  return [
    product(C, C, I, "TN", false),
    product(C, C, C, "NN", true),
    product(I, C, C, "NN", true),
    {
      name: "muon_momentum",
      shape: { L, E },
      cost: cost.muonMomentum(L * E),
      prepare(tensors) {
        const [grad, momentum] = [tensors.normal("f32", [L, E], 1e-3), tensors.filled("f32", [L, E], 0)];
        const [out, norm, values] = [
          tensors.empty(dt, [L, E]),
          tensors.filled("f32", [1], 1),
          tensors.empty("f32", [4]),
        ];
        values.write(hyper);
        const workspace = tensors.empty("f32", [native.muonMomentumWorkspace(tensors.device, L, E)]);
        return { call: () => native.muonMomentum(out, momentum, grad, norm, values, workspace, true) };
      },
    },
    {
      name: "muon_update",
      shape: { L, E },
      cost: cost.muonUpdate(L * E),
      prepare(tensors) {
        const [master, update] = [tensors.normal("f32", [L, E], 0.02), tensors.normal(dt, [L, E], 0.01)];
        const param = dt === "f32" ? master : tensors.empty(dt, [L, E]);
        const [norm, values] = [tensors.filled("f32", [1], 1), tensors.empty("f32", [4])];
        values.write(hyper);
        return { call: () => native.muonUpdate(param, master, update, norm, values, 1) };
      },
    },
  ];
}
