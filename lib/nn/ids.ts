import { types } from "node:util";
import { type Arguments, describe } from "../arguments.js";

/**
 * Token ids as the kernels read them. Those of a `Uint32Array`, as tokenizers give them, are the same bits: an id from
 * 2^31 on is in no vocabulary either way.
 * @throws TypeError for another argument
 */
export function asIds(check: Arguments, name: string, ids: Int32Array | Uint32Array): Int32Array {
  if (types.isInt32Array(ids)) return ids;
  if (!types.isUint32Array(ids)) return check.fail(TypeError, name, "an Int32Array or a Uint32Array", describe(ids));
  // A buffer that was transferred has no elements, and takes no view.
  return ids.length === 0 ? new Int32Array() : new Int32Array(ids.buffer, ids.byteOffset, ids.length);
}
