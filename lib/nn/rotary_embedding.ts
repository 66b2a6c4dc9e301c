import type { LlamaConfig } from "../hf/llama_config.js";
import { ropeInverseFrequencies } from "../hf/rope.js";
import { native, Tensor } from "../native.js";
import { Spec } from "./buffers.js";

/** The cosines and sines of all positions up to `positions`. */
export function rotaryTableSpec(config: LlamaConfig, positions: number) {
  return new Spec("f32", [positions, config.head_dim / 2, 2]);
}

/**
 * The rotary position embedding, in the half-split layout. The constructor writes the table, so a `RotaryEmbedding` is
 * always ready for use.
 */
export class RotaryEmbedding {
  /** @param table f32 [positions, D/2, 2], written here */
  constructor(
    readonly table: Tensor,
    config: LlamaConfig,
  ) {
    using frequencies = new Tensor(table.device, "f32", [config.head_dim / 2]);
    frequencies.write(ropeInverseFrequencies(config));
    native.rotaryTable(table, frequencies);
  }

  /** @param x dt [B, T, H, D], strided, in place; its first row is at position `offset` */
  forward(x: Tensor, offset: number): void {
    native.rotary(x, this.table, offset, false);
  }
}
