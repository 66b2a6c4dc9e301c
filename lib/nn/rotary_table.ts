import type { LlamaConfig } from "../hf/llama_config.js";
import { ropeInverseFrequencies } from "../hf/rope.js";
import { native, Tensor } from "../native.js";

/** Fills a table f32 [positions, D/2, 2] with the cosines and sines of a config's rotary embedding. */
export function writeRotaryTable(table: Tensor, config: LlamaConfig): void {
  using frequencies = new Tensor(table.device, "f32", [config.head_dim / 2]);
  frequencies.write(ropeInverseFrequencies(config));
  native.rotaryTable(table, frequencies);
}
