import { architectureOf } from "../hf/architectures.js";
import { native, type Tensor } from "../native.js";
import { type Allocated, Spec } from "./buffers.js";
import type { LayerContext } from "./layer_context.js";
import type { Weight } from "./linear.js";
import type { PassShape } from "./shape.js";

/** What the norms of queries and keys keep for their backward; null if a model has none. */
export function qkNormSpecs({ config, dtype, positions }: PassShape) {
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim } = config;
  const { qkNorm } = architectureOf(config);
  if (qkNorm === null) return null;
  const rows = (count: number) => new Spec("f32", [positions * (qkNorm === "head" ? count : 1)]);
  return {
    queries: new Spec(dtype, [positions, heads * headDim]),
    keys: new Spec(dtype, [positions, kvHeads * headDim]),
    queryScales: rows(heads),
    keyScales: rows(kvHeads),
  };
}

/** RMSNorm of queries and keys, fused with the rotary embedding behind it. */
export class QkNorm {
  /** dt [B, T, H, D]: normed and turned. */
  readonly q: Tensor;
  /** dt [B, T, G, D]. */
  readonly k: Tensor;
  readonly #scales: { readonly q: Tensor; readonly k: Tensor };

  /** @param projected dt, strided: what is normed */
  constructor(
    private readonly context: LayerContext,
    private readonly weights: { readonly q: Weight; readonly k: Weight },
    buffers: NonNullable<Allocated<ReturnType<typeof qkNormSpecs>>>,
    private readonly projected: { readonly q: Tensor; readonly k: Tensor },
  ) {
    const { sequences, positions } = context.batch;
    const rows = (scales: Tensor) => scales.reshape([sequences, positions, scales.size / (sequences * positions)]);
    this.q = buffers.queries.reshape(projected.q.shape);
    this.k = buffers.keys.reshape(projected.k.shape);
    this.#scales = { q: rows(buffers.queryScales), k: rows(buffers.keyScales) };
  }

  /** @param table of the rotary embedding; null: nothing is turned */
  forward(table: Tensor | null, past: number): void {
    const { epsilon, weightOffset } = this.context;
    for (const part of ["q", "k"] as const) {
      const { value } = this.weights[part];
      const [out, scales] = [this[part], this.#scales[part]];
      native.qkNormForward(out, scales, this.projected[part], value, table, past, epsilon, weightOffset);
    }
  }

  /** In place: from the gradients of what is turned, turned back already, to those of the projections. */
  backward(dq: Tensor, dk: Tensor): void {
    const { weightOffset, scratch } = this.context;
    const { rowWorkspace } = scratch!;
    for (const [part, d] of [["q", dq] as const, ["k", dk] as const]) {
      const { value, gradient } = this.weights[part];
      const [x, scales] = [this.projected[part], this.#scales[part]];
      native.qkNormBackward(d, gradient!, d, x, scales, value, rowWorkspace, weightOffset);
    }
  }
}
