/** Benchmarks of the operations that some architectures call and a Llama does not. */
import { bytesOf } from "../../device.js";
import { native } from "../../native.js";
import type { ComputeDType, KernelCase } from "./case.js";
import { costs } from "./cost.js";
import type { LayerShape } from "./shapes.js";

const epsilon = 1e-6;

/** @param B sequences @param T positions of each */
export function architectureCases(B: number, T: number, layer: LayerShape, dt: ComputeDType): KernelCase[] {
  const { C, I, H, G, D } = layer;
  const cost = costs(bytesOf(dt));
  const N = B * T;
  const width = (H + 2 * G) * D;
  return [
    {
      name: "rmsnorm_residual_forward",
      shape: { N, C },
      cost: cost.rmsNormResidualForward(N, C),
      prepare(tensors) {
        const [stream, x, weight] = [tensors.normal(dt, [N, C]), tensors.normal(dt, [N, C]), tensors.normal(dt, [C])];
        const [out, rstd] = [tensors.empty(dt, [N, C]), tensors.empty("f32", [N])];
        return { call: () => native.rmsNormResidualForward(out, rstd, stream, x, weight, epsilon, 0) };
      },
    },
    {
      name: "qk_norm_forward",
      shape: { B, T, H, D },
      cost: cost.qkNormForward(B, T, H, D),
      prepare(tensors) {
        const fused = tensors.normal(dt, [B, T, H + 2 * G, D]);
        const [x, weight] = [tensors.view(fused.narrow(2, 0, H)), tensors.normal(dt, [D])];
        const [out, rstd] = [tensors.empty(dt, [B, T, H, D]), tensors.empty("f32", [B, T, H])];
        const table = tensors.normal("f32", [T, D / 2, 2]);
        return { call: () => native.qkNormForward(out, rstd, x, weight, table, 0, epsilon, 0) };
      },
    },
    {
      name: "qk_norm_backward",
      shape: { B, T, H, D },
      cost: cost.qkNormBackward(B, T, H, D),
      prepare(tensors) {
        const heads = [B, T, H, D];
        const [x, weight, d] = [tensors.normal(dt, heads), tensors.normal(dt, [D]), tensors.normal(dt, heads)];
        const [rstd, dweight] = [tensors.filled("f32", [B, T, H], 1), tensors.filled("f32", [D], 0)];
        const dx = tensors.empty(dt, heads);
        const workspace = tensors.empty("f32", [native.qkNormBackwardWorkspace(tensors.device, N, H, D)]);
        return { call: () => native.qkNormBackward(dx, dweight, d, x, rstd, weight, workspace, 0) };
      },
    },
    {
      name: "bias_forward",
      shape: { N, C: width },
      cost: cost.biasForward(N, width),
      prepare(tensors) {
        const [x, bias] = [tensors.normal(dt, [N, width]), tensors.filled(dt, [width], 0)];
        return { call: () => native.biasForward(x, bias) };
      },
    },
    {
      name: "bias_backward",
      shape: { N, C: width },
      cost: cost.biasBackward(N, width),
      prepare(tensors) {
        const [dout, dbias] = [tensors.normal(dt, [N, width]), tensors.filled("f32", [width], 0)];
        const workspace = tensors.empty("f32", [native.biasBackwardWorkspace(tensors.device, N, width)]);
        return { call: () => native.biasBackward(dbias, dout, workspace) };
      },
    },
    {
      name: "geglu_forward",
      shape: { N, I },
      cost: cost.swigluForward(N, I),
      prepare(tensors) {
        const [gateUp, out] = [tensors.normal(dt, [N, 2 * I]), tensors.empty(dt, [N, I])];
        return { call: () => native.gegluForward(out, gateUp) };
      },
    },
    {
      name: "geglu_backward",
      shape: { N, I },
      cost: cost.swigluBackward(N, I),
      prepare(tensors) {
        const [gateUp, dout] = [tensors.normal(dt, [N, 2 * I]), tensors.normal(dt, [N, I])];
        const dgateUp = tensors.empty(dt, [N, 2 * I]);
        return { call: () => native.gegluBackward(dgateUp, dout, gateUp) };
      },
    },
  ];
}
