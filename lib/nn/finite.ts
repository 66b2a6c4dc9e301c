import { notFinite } from "../hf/not_finite.js";
import { native, Tensor } from "../native.js";
import type { Parameters } from "./parameters.js";

/** The most elements that are looked at by one operation. */
const MOST = 2 ** 30;

/**
 * Checks that all weights are finite, on their device.
 * @param weights flat
 * @param where what they are from, for the message
 * @throws CheckpointError naming the first tensor with one that is not, in the order of the flat parameters, and the
 *   element
 */
export async function checkFinite({ device, layout }: Parameters, weights: Tensor, where: string): Promise<void> {
  const parts = layout.slots.flatMap((slot) =>
    Array.from({ length: Math.ceil(slot.size / MOST) }, (_, index) => {
      const begin = index * MOST;
      return { slot, begin, values: weights.narrow(0, slot.offset + begin, Math.min(MOST, slot.size - begin)) };
    }),
  );
  using found = new Tensor(device, "i32", [parts.length]);
  parts.forEach(({ values }, index) => native.firstNonFinite(found.narrow(0, index, 1), values));
  const first = await found.read();
  const bad = parts.findIndex(({ values }, index) => first[index] !== values.size);
  if (bad === -1) return;
  const { slot, begin, values } = parts[bad]!;
  const at = first[bad]!;
  const [value] = await values.narrow(0, at, 1).read();
  throw notFinite(where, slot.name, slot.shape, begin + at, value!);
}
