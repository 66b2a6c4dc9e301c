import { native, type Tensor } from "../native.js";
import { Spec } from "./buffers.js";
import type { Linear } from "./linear.js";
import type { PassShape } from "./shape.js";

/** What the MLP keeps for its backward. */
export function mlpSpecs({ config, dtype, positions }: PassShape) {
  return {
    gateUp: new Spec(dtype, [positions, 2 * config.intermediate_size]),
    activated: new Spec(dtype, [positions, config.intermediate_size]),
  };
}

export interface MlpBuffers {
  readonly gateUp: Tensor;
  readonly activated: Tensor;
}

/** SwiGLU: down(silu(gate(x)) * up(x)). */
export class Mlp {
  /**
   * @param dactivated dt [N, I], scratch of the backward; null where nothing is trained
   * @param x dt [N, C], the normalised stream
   * @param out dt [N, C], the branch that is added to the stream
   */
  constructor(
    private readonly weights: { readonly gateUp: Linear; readonly down: Linear },
    private readonly buffers: MlpBuffers,
    private readonly dactivated: Tensor | null,
    private readonly x: Tensor,
    private readonly out: Tensor,
  ) {}

  forward(): void {
    const { gateUp, activated } = this.buffers;
    this.weights.gateUp.forward(gateUp, this.x);
    native.swigluForward(activated, gateUp);
    this.weights.down.forward(this.out, activated);
  }

  /** @param dx dt [N, C], written; @param dout dt [N, C], the gradient in `out` */
  backward(dx: Tensor, dout: Tensor): void {
    const { gateUp, activated } = this.buffers;
    this.weights.down.backward(this.dactivated!, dout, activated);
    native.swigluBackward(gateUp, this.dactivated!, gateUp); // in place: gate and up are not needed again
    this.weights.gateUp.backward(dx, gateUp, this.x);
  }
}
