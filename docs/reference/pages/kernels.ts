/**
 * `nextpatch/kernels`: the three kernels of the method by themselves, forward and backward, on your tensors. It also
 * exports [`Device`, `Tensor`](devices.md) and what belongs to them, and [`DeviceError` and `OutOfMemoryError`](errors.md).
 *
 * @module kernels
 */
export {
  type ComputeDType,
  flashAttention,
  type PatchLoss,
  patchCrossEntropy,
  patchEmbedding,
} from "nextpatch/kernels";
