import { presets } from "../../hf/presets.js";
import type { BackendName } from "../../native.js";
import { positionsPerPass } from "../../train/micro_batch.js";

/** The sizes of a model's layer, in the letters of native/kernels.h. */
export interface LayerShape {
  readonly C: number;
  readonly I: number;
  readonly H: number;
  readonly G: number;
  readonly D: number;
  readonly V: number;
}

export interface AttentionShape {
  readonly B: number;
  readonly T: number;
  readonly H: number;
  readonly G: number;
  readonly D: number;
}

/** What is benchmarked on a backend. */
export interface BenchShapes {
  /** Sequences and positions of a pass. */
  readonly B: number;
  readonly T: number;
  /** The model with every operation timed, and others with only their layers timed. */
  readonly model: LayerShape;
  readonly otherLayers: readonly LayerShape[];
  readonly attention: readonly AttentionShape[];
  /** Parameters of the optimizer's step. */
  readonly parameters: number;
  /** Inputs smaller than this in total are rotated with other sets, so that no cache still holds them. */
  readonly rotatedBytes: number;
}

/** llama-370m and llama-1.3b on a GPU, a model of 10 million parameters on a CPU, a tiny one under simt. */
export function benchShapes(backend: BackendName): BenchShapes {
  if (backend === "cuda") return cuda();
  return backend === "cpu" ? cpu() : simt();
}

function cuda(): BenchShapes {
  const model = layer(presets["llama-370m"]);
  // As many positions as a pass of a training step has, so that the table adds up to the step.
  const positions = positionsPerPass.cuda;
  const T = 2048;
  // The same number of tokens at every length. 64, 96, 128 and 80 are the head dimensions of the four llama presets.
  const square = [64, 80, 96, 128].flatMap((D) =>
    [1024, 2048, 8192].map((length) => ({ B: positions / length, T: length, H: 16, G: 16, D })),
  );
  return {
    B: positions / T,
    T,
    model,
    otherLayers: [layer(presets["llama-1.3b"])],
    attention: [...square, { B: positions / T, T, H: 32, G: 8, D: 128 }],
    parameters: parameterCount(model, presets["llama-370m"].num_hidden_layers),
    // Twice the largest L2 cache of today's GPUs.
    rotatedBytes: 256 * 2 ** 20,
  };
}

function cpu(): BenchShapes {
  const model = { C: 256, I: 688, H: 4, G: 4, D: 64, V: 8192 };
  const attention = [64, 128].flatMap((D) => [256, 1024].map((T) => ({ B: 1024 / T, T, H: 4, G: 4, D })));
  return {
    B: 4,
    T: 256,
    model,
    otherLayers: [],
    attention: [...attention, { B: 4, T: 256, H: 4, G: 2, D: 64 }],
    parameters: parameterCount(model, 6),
    rotatedBytes: 64 * 2 ** 20,
  };
}

function simt(): BenchShapes {
  const model = { C: 32, I: 48, H: 2, G: 1, D: 32, V: 112 };
  return {
    B: 1,
    T: 8,
    model,
    otherLayers: [],
    attention: [{ B: 1, T: 8, H: 2, G: 1, D: 32 }],
    parameters: 512,
    rotatedBytes: 0,
  };
}

function layer(preset: (typeof presets)[keyof typeof presets]): LayerShape {
  const { hidden_size: C, intermediate_size: I, num_attention_heads: H, vocab_size: V } = preset;
  return { C, I, H, G: H, D: C / H, V };
}

/** The layers' matrices and the two of the vocabulary; norms are left out. */
function parameterCount({ C, I, H, G, D, V }: LayerShape, layers: number): number {
  return layers * (C * D * (2 * H + 2 * G) + 3 * C * I) + 2 * V * C;
}

/** How many sets of inputs, `setBytes` each, to rotate over. */
export function rotatedSets(setBytes: number, rotatedBytes: number): number {
  return Math.min(32, Math.max(1, Math.ceil(rotatedBytes / setBytes)));
}
