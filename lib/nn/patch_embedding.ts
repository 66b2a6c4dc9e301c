import { native, type Tensor } from "../native.js";
import type { Weight } from "./linear.js";

/** The input of the transformer: the embeddings of every K consecutive tokens, averaged. */
export class PatchEmbedding {
  /**
   * @param out dt [N, C]
   * @param tokens i32 [N * K]
   * @param workspace i32, for the backward; null if nothing is trained
   * @param scale what embeddings are multiplied by
   */
  constructor(
    private readonly weight: Weight,
    private readonly out: Tensor,
    private readonly tokens: Tensor,
    private readonly workspace: Tensor | null,
    private readonly scale: number,
  ) {}

  forward(): void {
    native.patchEmbeddingForward(this.out, this.tokens, this.weight.value, this.scale);
  }

  /** @param dout dt [N, C] */
  backward(dout: Tensor): void {
    native.patchEmbeddingBackward(this.weight.gradient!, dout, this.tokens, this.workspace!, this.scale);
  }
}
