/** A valid call of every operation of the binding, with the argument names of binding.d.ts. */
import { type Device, type DType, native, Tensor } from "../../lib/native.js";

export type Kind = "tensor" | "optional" | "number" | "whole" | "boolean" | "device";

export interface Argument {
  name: string;
  kind: Kind;
  value: unknown;
  /** A tensor whose rows may lie apart. */
  strided?: boolean;
  /** A number that may be below 0. */
  signed?: boolean;
}

export interface Operation {
  name: string;
  arguments: Argument[];
}

/** Calls a function of the binding with arguments of any kind. */
export function invoke(name: string, args: readonly unknown[]): unknown {
  const functions = native as unknown as Record<string, (...args: readonly unknown[]) => unknown>;
  return functions[name]!(...args);
}

const [B, T, N, K, V, C, I, H, G, D] = [2, 3, 6, 2, 11, 8, 5, 4, 2, 32];

/** Tensors hold zeros, so that every id is valid. */
export function operations(device: Device): Operation[] {
  const tensor = (name: string, shape: number[], dtype: DType = "f32", strided = false): Argument => {
    const value = new Tensor(device, dtype, shape);
    native.fill(value, 0);
    return { name, kind: "tensor", value, strided };
  };
  const optional = (name: string, shape: number[]): Argument => ({ ...tensor(name, shape), kind: "optional" });
  const i32 = (name: string, shape: number[]): Argument => tensor(name, shape, "i32");
  const heads = (name: string, length: number, count: number): Argument =>
    tensor(name, [B, length, count, D], "f32", true);
  const whole = (name: string, value = 1): Argument => ({ name, kind: "whole", value });
  const number = (name: string, value = 0.5, signed = false): Argument => ({ name, kind: "number", value, signed });
  const boolean = (name: string): Argument => ({ name, kind: "boolean", value: false });
  const owner: Argument = { name: "device", kind: "device", value: device };
  const table: [string, Argument[]][] = [
    ["fill", [tensor("out", [N, C]), number("value", 1, true)]],
    ["copy", [tensor("out", [N, C], "f32", true), tensor("source", [N, C], "f32", true)]],
    ["normal", [tensor("out", [N, C]), number("std"), whole("seed"), whole("offset")]],
    ["rotaryTable", [tensor("table", [T, D / 2, 2]), tensor("inverseFrequencies", [D / 2]), number("scale", 1, true)]],
    ["firstNonFinite", [i32("out", [1]), tensor("values", [N])]],
    [
      "matmul",
      [
        tensor("c", [N, C]),
        tensor("a", [N, I]),
        tensor("b", [I, C]),
        boolean("transposeA"),
        boolean("transposeB"),
        boolean("accumulate"),
      ],
    ],
    [
      "batchedMatmul",
      [
        tensor("c", [B, N, C]),
        tensor("a", [B, N, I]),
        tensor("b", [B, I, C]),
        optional("add", [B, N, C]),
        boolean("transposeA"),
        boolean("transposeB"),
        number("alpha", 1, true),
        number("beta", 1, true),
      ],
    ],
    ["sum", [tensor("out", [1]), tensor("values", [N]), boolean("accumulate")]],
    [
      "patchEmbeddingForward",
      [tensor("out", [N, C]), i32("tokens", [N * K]), tensor("table", [V, C]), number("scale", 1, true)],
    ],
    [
      "patchEmbeddingBackward",
      [
        tensor("dtable", [V, C]),
        tensor("dout", [N, C]),
        i32("tokens", [N * K]),
        i32("workspace", [Math.max(1, native.patchEmbeddingBackwardWorkspace(device, N * K, V))]),
        number("scale", 1, true),
      ],
    ],
    ["patchEmbeddingBackwardWorkspace", [owner, whole("tokens"), whole("vocabulary")]],
    [
      "rmsNormForward",
      [
        tensor("out", [N, C]),
        optional("sum", [N, C]),
        tensor("rstd", [N]),
        tensor("x", [N, C]),
        optional("add", [N, C]),
        tensor("weight", [C]),
        number("epsilon"),
        number("weightOffset"),
      ],
    ],
    [
      "rmsNormResidualForward",
      [
        tensor("out", [N, C]),
        tensor("rstd", [N]),
        tensor("residual", [N, C]),
        tensor("x", [N, C]),
        tensor("weight", [C]),
        number("epsilon"),
        number("weightOffset"),
      ],
    ],
    [
      "rmsNormBackward",
      [
        tensor("dx", [N, C]),
        tensor("dweight", [C]),
        tensor("dout", [N, C]),
        tensor("sum", [N, C]),
        tensor("rstd", [N]),
        tensor("weight", [C]),
        tensor("workspace", [Math.max(1, native.rmsNormBackwardWorkspace(device, N, C))]),
        boolean("accumulate"),
        number("weightOffset"),
      ],
    ],
    ["rmsNormBackwardWorkspace", [owner, whole("rows"), whole("cols")]],
    ["rotary", [heads("x", T, H), tensor("table", [T + 1, D / 2, 2]), whole("offset"), boolean("inverse")]],
    [
      "qkNormForward",
      [
        heads("out", T, H),
        tensor("rstd", [B, T, H]),
        heads("x", T, H),
        tensor("weight", [D]),
        optional("table", [T + 1, D / 2, 2]),
        whole("offset"),
        number("epsilon"),
        number("weightOffset"),
      ],
    ],
    [
      "qkNormBackward",
      [
        heads("dx", T, H),
        tensor("dweight", [D]),
        heads("dout", T, H),
        heads("x", T, H),
        tensor("rstd", [B, T, H]),
        tensor("weight", [D]),
        tensor("workspace", [Math.max(1, native.qkNormBackwardWorkspace(device, B * T, H, D))]),
        number("weightOffset"),
      ],
    ],
    ["qkNormBackwardWorkspace", [owner, whole("positions"), whole("heads"), whole("headDim", 32)]],
    ["biasForward", [tensor("x", [N, C]), tensor("bias", [C])]],
    [
      "biasBackward",
      [
        tensor("dbias", [C]),
        tensor("dout", [N, C]),
        tensor("workspace", [Math.max(1, native.biasBackwardWorkspace(device, N, C))]),
      ],
    ],
    ["biasBackwardWorkspace", [owner, whole("rows"), whole("cols")]],
    [
      "attentionForward",
      [
        heads("out", T, H),
        tensor("lse", [B, H, T]),
        heads("q", T, H),
        heads("k", T, G),
        heads("v", T, G),
        number("scale", 1, true),
        whole("window", 0),
      ],
    ],
    [
      "attentionBackward",
      [
        heads("dq", T, H),
        heads("dk", T, G),
        heads("dv", T, G),
        heads("dout", T, H),
        heads("q", T, H),
        heads("k", T, G),
        heads("v", T, G),
        heads("out", T, H),
        tensor("lse", [B, H, T]),
        tensor("workspace", [Math.max(1, native.attentionBackwardWorkspace(device, B, T, T, H, G, D))]),
        optional("rotaryTable", [T, D / 2, 2]),
        number("scale", 1, true),
        whole("window", 0),
      ],
    ],
    [
      "attentionBackwardWorkspace",
      [owner, whole("batch"), whole("queries"), whole("keys"), whole("heads"), whole("kvHeads"), whole("headDim", 32)],
    ],
    ["swigluForward", [tensor("out", [N, I]), tensor("gateUp", [N, 2 * I])]],
    ["swigluBackward", [tensor("dgateUp", [N, 2 * I]), tensor("dout", [N, I]), tensor("gateUp", [N, 2 * I])]],
    ["gegluForward", [tensor("out", [N, I]), tensor("gateUp", [N, 2 * I])]],
    ["gegluBackward", [tensor("dgateUp", [N, 2 * I]), tensor("dout", [N, I]), tensor("gateUp", [N, 2 * I])]],
    ["patchLabels", [i32("labels", [N, K]), i32("tokens", [N * K]), whole("positions", T)]],
    ["labelCoefficients", [tensor("coefficients", [K]), i32("labels", [N, K]), tensor("weights", [K])]],
    [
      "crossEntropy",
      [
        tensor("losses", [N]),
        tensor("logits", [N, V]),
        i32("labels", [N, K]),
        tensor("coefficients", [K]),
        boolean("gradient"),
      ],
    ],
    [
      "gradNorm",
      [
        tensor("norm", [1]),
        tensor("grad", [C]),
        tensor("workspace", [Math.max(1, native.gradNormWorkspace(device, C))]),
      ],
    ],
    ["gradNormWorkspace", [owner, whole("size")]],
    ["guardNorm", [tensor("measured", [1]), tensor("norm", [1]), tensor("loss", [1]), tensor("limits", [2])]],
    [
      "adamw",
      [
        tensor("param", [C]),
        tensor("master", [C]),
        tensor("m", [C]),
        tensor("v", [C]),
        i32("steps", [1]),
        tensor("corrections", [2]),
        tensor("grad", [C]),
        tensor("norm", [1]),
        tensor("hyper", [8]),
        whole("decayed"),
      ],
    ],
    [
      "muonMomentum",
      [
        tensor("out", [B, C]),
        tensor("momentum", [B, C], "f32", true),
        tensor("grad", [B, C], "f32", true),
        tensor("norm", [1]),
        tensor("hyper", [4]),
        tensor("workspace", [native.muonMomentumWorkspace(device, B, C)]),
        boolean("nesterov"),
      ],
    ],
    ["muonMomentumWorkspace", [owner, whole("matrices"), whole("elements")]],
    [
      "muonUpdate",
      [
        tensor("param", [B, C], "f32", true),
        tensor("master", [B, C], "f32", true),
        tensor("update", [B, C]),
        tensor("norm", [1]),
        tensor("hyper", [4]),
        number("scale"),
      ],
    ],
    [
      "sample",
      [
        i32("out", [N]),
        tensor("logits", [N, V]),
        { ...i32("history", [N, T]), kind: "optional" },
        { ...i32("streams", [N]), kind: "optional" },
        tensor("workspace", [Math.max(1, native.sampleWorkspace(device, N, V))]),
        number("repetitionPenalty"),
        number("temperature"),
        whole("topK"),
        number("topP"),
        number("minP"),
        whole("seed"),
        whole("counter"),
      ],
    ],
    ["sampleWorkspace", [owner, whole("rows"), whole("vocabulary")]],
  ];
  return table.map(([name, args]) => ({ name, arguments: args }));
}
