import type { LlamaConfig } from "../hf/llama_config.js";
import { type RotaryAngles, rotaryAngles } from "../hf/rope.js";
import { native, Tensor } from "../native.js";
import { type Allocated, Spec } from "./buffers.js";

/** The cosines and sines of all positions up to `positions`; `local`: those of sliding layers with angles of their own. */
export function rotaryTableSpecs(config: LlamaConfig, positions: number) {
  const table = new Spec("f32", [positions, config.head_dim / 2, 2]);
  return { global: table, local: config.rope_local_base_freq === undefined ? null : table };
}

/**
 * The rotary position embedding, in the half-split layout. The constructor writes the table, so a `RotaryEmbedding` is
 * always ready for use.
 */
export class RotaryEmbedding {
  /** @param table f32 [positions, D/2, 2], written here */
  constructor(
    readonly table: Tensor,
    { frequencies: values, scale }: RotaryAngles,
  ) {
    using frequencies = new Tensor(table.device, "f32", [values.length]);
    frequencies.write(values);
    native.rotaryTable(table, frequencies, scale);
  }

  /** @param x dt [B, T, H, D], strided, in place; its first row is at position `offset` */
  forward(x: Tensor, offset: number): void {
    native.rotary(x, this.table, offset, false);
  }
}

/** The rotary embeddings of a model's layers. */
export class RotaryEmbeddings {
  readonly global: RotaryEmbedding;
  readonly local: RotaryEmbedding | null;

  /** @param tables written here */
  constructor(tables: Allocated<ReturnType<typeof rotaryTableSpecs>>, config: LlamaConfig) {
    const { global, local } = rotaryAngles(config, tables.global.shape[0]!);
    this.global = new RotaryEmbedding(tables.global, global);
    this.local = local && new RotaryEmbedding(tables.local!, local);
  }
}
