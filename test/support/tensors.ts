/** Whole tensors of checkpoints; the product reads them in pieces. */
import { byteSize } from "../../lib/hf/dtypes.js";
import type { TensorSource } from "../../lib/hf/tensor_pieces.js";

/** A tensor's bytes, in a buffer of their own. */
export async function tensorBytesOf(source: TensorSource, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const { dtype, shape } = source.info(name);
  const bytes = new Uint8Array(byteSize(dtype, shape));
  await source.readInto(name, 0, bytes);
  return bytes;
}
