import { native, type Tensor } from "../native.js";

/** A weight and, while training, where its gradient is summed. */
export interface Weight {
  /** dt. */
  readonly value: Tensor;
  /** f32, of the same shape; null if nothing is trained. */
  readonly gradient: Tensor<"f32"> | null;
}

/** Whether a backward adds to the gradient of the weight, and of the input; else it writes them. */
export interface Adding {
  readonly weight: boolean;
  readonly input: boolean;
}

/** A product with a weight [outputs, inputs], as `nn.Linear` keeps it, and a bias [outputs] or null. */
export class Linear {
  constructor(
    readonly weight: Weight,
    readonly bias: Weight | null = null,
  ) {}

  /** out [rows, outputs] = x [rows, inputs] W^T + b. */
  forward(out: Tensor, x: Tensor): void {
    native.matmul(out, x, this.weight.value, false, true, false);
    if (this.bias !== null) native.biasForward(out, this.bias.value);
  }

  /**
   * dW (+)= dout^T x; db += the sum of dout's rows; dx (+)= dout W.
   * @param workspace f32, for the bias's gradient
   */
  backward(dx: Tensor, dout: Tensor, x: Tensor, adds: Adding, workspace: Tensor | null): void {
    if (this.weight.gradient === null) {
      throw new TypeError("Linear.backward: weight: expected one with a gradient but received one without");
    }
    native.matmul(this.weight.gradient, dout, x, true, false, adds.weight);
    if (this.bias !== null) native.biasBackward(this.bias.gradient!, dout, workspace!);
    native.matmul(dx, dout, this.weight.value, false, false, adds.input);
  }
}
