import { architectureOf } from "../hf/architectures.js";
import { native, type Tensor } from "../native.js";
import { type Allocated, Spec } from "./buffers.js";
import type { LayerContext } from "./layer_context.js";
import type { Adding, Linear } from "./linear.js";
import type { PassShape } from "./shape.js";

/** What the MLP keeps for its backward. */
export function mlpSpecs({ config, dtype, positions }: PassShape) {
  return {
    gateUp: new Spec(dtype, [positions, 2 * config.intermediate_size]),
    activated: new Spec(dtype, [positions, config.intermediate_size]),
  };
}

/** A gated unit, SwiGLU or GeGLU: down(activation(gate(x)) * up(x)). */
export class Mlp {
  readonly #gelu: boolean;

  /**
   * @param x dt [N, C], the normalised stream
   * @param out dt [N, C], where the output goes
   */
  constructor(
    private readonly context: LayerContext,
    private readonly weights: { readonly gateUp: Linear; readonly down: Linear },
    private readonly buffers: Allocated<ReturnType<typeof mlpSpecs>>,
    private readonly x: Tensor,
    private readonly out: Tensor,
  ) {
    this.#gelu = architectureOf(context.config).activation !== "silu";
  }

  forward(): void {
    const { gateUp, activated } = this.buffers;
    this.weights.gateUp.forward(gateUp, this.x);
    this.#activate();
    this.weights.down.forward(this.out, activated);
  }

  /** Computes the activations again: the gated product, and for `block` its factors. */
  computeAgain(recompute: "elementwise" | "block"): void {
    if (recompute === "block") this.weights.gateUp.forward(this.buffers.gateUp, this.x);
    this.#activate();
  }

  #activate(): void {
    const { gateUp, activated } = this.buffers;
    if (this.#gelu) native.gegluForward(activated, gateUp);
    else native.swigluForward(activated, gateUp);
  }

  /**
   * @param dx dt [N, C]; may be `dout`
   * @param dout dt [N, C], the branch's gradient
   * @param adds whether the weights' gradients, and dx, are added to; else they are written
   */
  backward(dx: Tensor, dout: Tensor, adds: Adding): void {
    const { gateUp, activated } = this.buffers;
    const { dactivated, rowWorkspace } = this.context.scratch!;
    this.weights.down.backward(dactivated, dout, activated, { ...adds, input: false }, rowWorkspace);
    // In place: gate and up are not needed again.
    if (this.#gelu) native.gegluBackward(gateUp, dactivated, gateUp);
    else native.swigluBackward(gateUp, dactivated, gateUp);
    this.weights.gateUp.backward(dx, gateUp, this.x, adds, rowWorkspace);
  }
}
