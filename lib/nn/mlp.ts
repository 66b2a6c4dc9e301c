import { native, type Tensor } from "../native.js";
import { type Allocated, Spec } from "./buffers.js";
import type { LayerContext } from "./layer_context.js";
import type { Linear } from "./linear.js";
import type { PassShape } from "./shape.js";

/** What the MLP keeps for its backward. */
export function mlpSpecs({ config, dtype, positions }: PassShape) {
  return {
    gateUp: new Spec(dtype, [positions, 2 * config.intermediate_size]),
    activated: new Spec(dtype, [positions, config.intermediate_size]),
  };
}

/** SwiGLU: down(silu(gate(x)) * up(x)). */
export class Mlp {
  /** @param x dt [N, C], the normalised stream; the output goes to the context's branch */
  constructor(
    private readonly context: LayerContext,
    private readonly weights: { readonly gateUp: Linear; readonly down: Linear },
    private readonly buffers: Allocated<ReturnType<typeof mlpSpecs>>,
    private readonly x: Tensor,
  ) {}

  forward(): void {
    const { gateUp, activated } = this.buffers;
    this.weights.gateUp.forward(gateUp, this.x);
    native.swigluForward(activated, gateUp);
    this.weights.down.forward(this.context.branch, activated);
  }

  /** Computes the activations again: SwiGLU's product, and for `block` its factors. */
  computeAgain(recompute: "elementwise" | "block"): void {
    const { gateUp, activated } = this.buffers;
    if (recompute === "block") this.weights.gateUp.forward(gateUp, this.x);
    native.swigluForward(activated, gateUp);
  }

  /**
   * @param dx dt [N, C], written
   * @param dout dt [N, C], the branch's gradient
   * @param accumulate whether the weights' gradients are added to, or written
   */
  backward(dx: Tensor, dout: Tensor, accumulate: boolean): void {
    const { gateUp, activated } = this.buffers;
    const { dactivated } = this.context.scratch!;
    this.weights.down.backward(dactivated, dout, activated, accumulate);
    native.swigluBackward(gateUp, dactivated, gateUp); // in place: gate and up are not needed again
    this.weights.gateUp.backward(dx, gateUp, this.x, accumulate);
  }
}
