/**
 * Devices, their memory and the tensors in it. Work is enqueued on a device and returns at once;
 * `await tensor.read()` and `await device.synchronize()` wait.
 *
 * @module devices
 */

export {
  type ArrayOf,
  type BackendName,
  type BackendReport,
  backends,
  Device,
  type DeviceReport,
  type DeviceSpec,
  type DType,
  type Graph,
  type MemoryCounters,
  type NumbersOf,
  type PrecisionSpec,
  type Product,
  type SeenProduct,
  type TableProduct,
  Tensor,
} from "nextpatch";
export { Tensor as TensorClass } from "../../../binding.js";
