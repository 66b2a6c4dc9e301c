import { native, type Tensor } from "../native.js";

/** A weight and, while training, where its gradient is summed. */
export interface Weight {
  /** dt. */
  readonly value: Tensor;
  /** f32, of the same shape; null if nothing is trained. */
  readonly gradient: Tensor<"f32"> | null;
}

/** A product with a weight [outputs, inputs], without bias, as `nn.Linear` keeps it. */
export class Linear {
  constructor(readonly weight: Weight) {}

  /** out [rows, outputs] = x [rows, inputs] W^T. */
  forward(out: Tensor, x: Tensor): void {
    native.matmul(out, x, this.weight.value, false, true, false);
  }

  /** dW (+)= dout^T x; dx = dout W. */
  backward(dx: Tensor, dout: Tensor, x: Tensor, accumulate: boolean): void {
    if (this.weight.gradient === null) {
      throw new TypeError("Linear.backward: weight: expected one with a gradient but received one without");
    }
    native.matmul(this.weight.gradient, dout, x, true, false, accumulate);
    native.matmul(dx, dout, this.weight.value, false, false, false);
  }
}
