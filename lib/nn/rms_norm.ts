import { native, type Tensor } from "../native.js";
import { type Allocated, Spec } from "./buffers.js";
import type { LayerContext } from "./layer_context.js";
import type { Weight } from "./linear.js";
import type { PassShape } from "./shape.js";

/** What all norms of a pass have in common. */
export type NormSettings = Pick<LayerContext, "epsilon" | "weightOffset" | "scratch">;

/** What RMSNorm keeps for its backward; `stream` is absent if nothing is added to the stream before it. */
export function rmsNormSpecs({ config, dtype, positions }: PassShape, adds: boolean) {
  const rows = new Spec(dtype, [positions, config.hidden_size]);
  return { out: rows, stream: adds ? rows : null, rstd: new Spec("f32", [positions]) };
}

/** RMSNorm of the residual stream, fused with the preceding addition of the branch. */
export class RmsNorm {
  /** dt [N, C]: the stream after the addition. */
  readonly stream: Tensor;
  /** dt [N, C]: the normalised rows. */
  readonly out: Tensor;

  /**
   * @param x dt [N, C], the stream so far
   * @param branch dt [N, C], added to it first, or null
   */
  constructor(
    private readonly settings: NormSettings,
    private readonly weight: Weight,
    private readonly buffers: Allocated<ReturnType<typeof rmsNormSpecs>>,
    private readonly x: Tensor,
    private readonly branch: Tensor | null,
  ) {
    this.stream = branch === null ? x : buffers.stream!;
    this.out = buffers.out;
  }

  forward(): void {
    const { epsilon, weightOffset } = this.settings;
    const sum = this.branch && this.stream;
    const { value } = this.weight;
    native.rmsNormForward(this.out, sum, this.buffers.rstd, this.x, this.branch, value, epsilon, weightOffset);
  }

  /** Computes `out` again from the stream. */
  computeAgain(): void {
    const { epsilon, weightOffset } = this.settings;
    const { out, rstd } = this.buffers;
    native.rmsNormForward(out, null, rstd, this.stream, null, this.weight.value, epsilon, weightOffset);
  }

  /** dstream (+)= the gradient through `dout`; both dt [N, C]. */
  backward(dstream: Tensor, dout: Tensor, accumulate: boolean): void {
    normBackward(this.settings, this.weight, this.buffers.rstd, dstream, dout, this.stream, accumulate);
  }
}

/** What a norm behind a branch keeps for its backward: also the branch itself. */
export function branchNormSpecs({ config, dtype, positions }: PassShape) {
  const rows = new Spec(dtype, [positions, config.hidden_size]);
  return { branch: rows, stream: rows, rstd: new Spec("f32", [positions]) };
}

/** RMSNorm of a branch, fused with its addition to the residual stream: stream = x + norm(branch). */
export class BranchNorm {
  /** dt [N, C]: where attention or MLP writes its output. */
  readonly branch: Tensor;
  /** dt [N, C]: the stream after the addition. */
  readonly stream: Tensor;

  /** @param x dt [N, C], the stream so far */
  constructor(
    private readonly settings: NormSettings,
    private readonly weight: Weight,
    private readonly buffers: Allocated<ReturnType<typeof branchNormSpecs>>,
    private readonly x: Tensor,
  ) {
    this.branch = buffers.branch;
    this.stream = buffers.stream;
  }

  forward(): void {
    const { epsilon, weightOffset } = this.settings;
    const { rstd } = this.buffers;
    native.rmsNormResidualForward(this.stream, rstd, this.x, this.branch, this.weight.value, epsilon, weightOffset);
  }

  /** dbranch = the gradient of the branch; that of x is dstream itself. Both dt [N, C]. */
  backward(dbranch: Tensor, dstream: Tensor): void {
    normBackward(this.settings, this.weight, this.buffers.rstd, dbranch, dstream, this.branch, false);
  }
}

function normBackward(
  { weightOffset, scratch }: NormSettings,
  { value, gradient }: Weight,
  rstd: Tensor,
  dx: Tensor,
  dout: Tensor,
  x: Tensor,
  accumulate: boolean,
): void {
  native.rmsNormBackward(dx, gradient!, dout, x, rstd, value, scratch!.rowWorkspace, accumulate, weightOffset);
}
