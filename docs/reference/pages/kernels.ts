/**
 * `nextpatch/kernels`: the three kernels of the method by themselves, forward and backward, on your tensors. It also
 * exports [`Device`, `Tensor`](devices.md) and what belongs to them, and [`DeviceError` and `OutOfMemoryError`](errors.md).
 *
 * @module kernels
 */
export {
  type Attended,
  type AttentionGradients,
  type ComputeDType,
  flashAttention,
  type PatchLoss,
  type PatchLossOptions,
  patchCrossEntropy,
  patchEmbedding,
} from "nextpatch/kernels";
