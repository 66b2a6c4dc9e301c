import type { Recompute } from "../config/recompute.js";
import { architectureOf } from "../hf/architectures.js";
import type { Tensor } from "../native.js";
import { Attention, type AttentionPlan, attentionSpecs } from "./attention.js";
import { type Allocated, select } from "./buffers.js";
import type { LayerContext } from "./layer_context.js";
import { Mlp, mlpSpecs } from "./mlp.js";
import { BranchNorm, branchNormSpecs, RmsNorm, rmsNormSpecs } from "./rms_norm.js";
import type { PassShape } from "./shape.js";
import type { LayerWeights } from "./weights.js";

/**
 * The activations of one layer.
 * @param first whether it is the first layer, whose stream is the embedding: no branch is added to it yet
 */
export function layerSpecs(shape: PassShape, first: boolean) {
  const { norms } = architectureOf(shape.config);
  const [before, behind] = [norms !== "behind", norms !== "before"];
  return {
    // A norm behind the branch adds it to the stream; else the next norm before a branch does.
    attentionNorm: before ? rmsNormSpecs(shape, !behind && !first) : null,
    attention: attentionSpecs(shape),
    afterAttention: behind ? branchNormSpecs(shape) : null,
    mlpNorm: before ? rmsNormSpecs(shape, !behind) : null,
    mlp: mlpSpecs(shape),
    afterMlp: behind ? branchNormSpecs(shape) : null,
  };
}

type LayerBuffers = ReturnType<typeof layerSpecs>;

/** The names of what every layer keeps until its backward. */
const kept: Readonly<Record<Recompute, (name: string) => boolean>> = {
  none: () => true,
  elementwise: (name) => name !== "out" && name !== "activated",
  block: (name) => name === "stream" || name === "rstd" || name === "branch",
};

/** The activations of all layers: what each has for itself, and what they share. */
export function layersSpecs(shape: PassShape) {
  const own = shape.recompute === null ? () => false : kept[shape.recompute];
  return {
    layers: Array.from({ length: shape.config.num_hidden_layers }, (_, i) => select(layerSpecs(shape, i === 0), own)),
    shared: select(layerSpecs(shape, false), (name) => !own(name)),
  };
}

/** A branch of a layer: attention or MLP, between the norms that the architecture has. */
interface Branch<Part> {
  readonly before: RmsNorm | null;
  readonly part: Part;
  readonly behind: BranchNorm | null;
}

/** A transformer layer: attention, then the MLP, each a branch added to the stream. */
export class Layer {
  /** dt [N, C]: what the layer gets, once it has run. */
  readonly input: Tensor;
  /** dt [N, C]: the stream without `pending`. */
  readonly stream: Tensor;
  /** dt [N, C]: this layer's last branch, if it is not yet added to the stream. */
  readonly pending: Tensor | null;
  readonly #attention: Branch<Attention>;
  readonly #mlp: Branch<Mlp>;

  /**
   * @param x dt [N, C], the incoming stream
   * @param pending dt [N, C], the previous layer's branch, not yet added to it, or null
   */
  constructor(
    private readonly context: LayerContext,
    plan: AttentionPlan,
    weights: LayerWeights,
    buffers: Allocated<LayerBuffers>,
    x: Tensor,
    pending: Tensor | null,
  ) {
    const { norms } = weights;
    const before = (name: "attention" | "mlp", stream: Tensor, branch: Tensor | null) =>
      norms[name] && new RmsNorm(context, norms[name], buffers[`${name}Norm`]!, stream, branch);
    const behind = (name: "afterAttention" | "afterMlp", stream: Tensor) =>
      norms[name] && new BranchNorm(context, norms[name], buffers[name]!, stream);

    const first = before("attention", x, pending);
    this.input = first?.stream ?? x;
    const second = behind("afterAttention", x);
    const input = first?.out ?? x;
    const attention = new Attention(context, plan, weights, buffers.attention, input, second?.branch ?? context.branch);
    this.#attention = { before: first, part: attention, behind: second };

    const stream = second?.stream ?? first!.stream;
    const third = before("mlp", stream, second === null ? context.branch : null);
    const fourth = behind("afterMlp", stream);
    const mlp = new Mlp(context, weights, buffers.mlp, third?.out ?? stream, fourth?.branch ?? context.branch);
    this.#mlp = { before: third, part: mlp, behind: fourth };
    this.stream = fourth?.stream ?? third!.stream;
    this.pending = fourth === null ? context.branch : null;
  }

  /** @param past positions in the cache */
  forward(past: number): void {
    for (const { before, part, behind } of [this.#attention, this.#mlp]) {
      before?.forward();
      part.forward(past);
      behind?.forward();
    }
  }

  /** Computes again what was not kept: the same operations on the same numbers, so the same bits. */
  #computeAgain(recompute: Exclude<Recompute, "none">): void {
    this.#attention.before?.computeAgain();
    if (recompute === "block") this.#attention.part.computeAgain();
    this.#mlp.before?.computeAgain();
    this.#mlp.part.computeAgain(recompute);
  }

  /**
   * Carries `dstream` from the layer's output to its input, in place.
   * @param accumulate whether the products' gradients are added to, or written; the vectors' are always added to
   */
  backward(accumulate: boolean): void {
    const { dstream, dnormed } = this.context.scratch!;
    const { recompute } = this.context;
    if (recompute !== null && recompute !== "none") this.#computeAgain(recompute);
    for (const { before, part, behind } of [this.#mlp, this.#attention]) {
      behind?.backward(dnormed, dstream);
      const dbranch = behind === null ? dstream : dnormed;
      // Without a norm before it, a branch reads the stream itself.
      const dx = before === null ? dstream : dnormed;
      part.backward(dx, dbranch, { weight: accumulate, input: before === null });
      before?.backward(dstream, dnormed, true);
    }
  }
}
