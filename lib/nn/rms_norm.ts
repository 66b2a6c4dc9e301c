import { native, type Tensor } from "../native.js";
import { type Allocated, Spec } from "./buffers.js";
import type { Weight } from "./linear.js";
import type { PassShape } from "./shape.js";

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
   * @param workspace f32, for the backward; null if there is none
   */
  constructor(
    private readonly weight: Weight,
    private readonly epsilon: number,
    private readonly buffers: Allocated<ReturnType<typeof rmsNormSpecs>>,
    private readonly x: Tensor,
    private readonly branch: Tensor | null,
    private readonly workspace: Tensor | null,
  ) {
    this.stream = branch === null ? x : buffers.stream!;
    this.out = buffers.out;
  }

  forward(): void {
    const sum = this.branch && this.stream;
    native.rmsNormForward(this.out, sum, this.buffers.rstd, this.x, this.branch, this.weight.value, this.epsilon);
  }

  /** Computes `out` again from the stream. */
  computeAgain(): void {
    const { out, rstd } = this.buffers;
    native.rmsNormForward(out, null, rstd, this.stream, null, this.weight.value, this.epsilon);
  }

  /** dstream (+)= the gradient through `dout`; both dt [N, C]. */
  backward(dstream: Tensor, dout: Tensor, accumulate: boolean): void {
    const { value, gradient } = this.weight;
    native.rmsNormBackward(
      dstream,
      gradient!,
      dout,
      this.stream,
      this.buffers.rstd,
      value,
      this.workspace!,
      accumulate,
    );
  }
}
