/**
 * The one place that loads the native addon, when it is first needed: what needs no kernel (types, configs, `prepare`,
 * help) works without it, on every system.
 */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import type * as Binding from "../binding.js";
import { recognizeTensors } from "./arguments.js";
import { DeviceError, OutOfMemoryError } from "./errors.js";
import { lazyClass, lazyObject } from "./native/lazy.js";
import { type Loaded, loadAddon } from "./native/load.js";
import { type Package, readPackage } from "./native/package.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** This package, read when it is first needed. */
let self: Package | null = null;
export const thisPackage = (): Package => (self ??= readPackage(root));

let result: Loaded | { readonly problem: string } | null = null;

function loadOnce(): Loaded | { readonly problem: string } {
  if (result !== null) return result;
  result = loadAddon(thisPackage());
  if ("binding" in result) prepare(result.binding);
  return result;
}

function load(): typeof Binding {
  const loaded = loadOnce();
  if ("problem" in loaded) throw new DeviceError(loaded.problem);
  return loaded.binding;
}

function prepare(binding: typeof Binding): void {
  // Native code throws this realm's classes, so that `instanceof` works wherever the library is loaded.
  binding.setErrorClasses({ TypeError, RangeError, DeviceError, OutOfMemoryError });
  // Configurable: a process that loads this module twice (two realms, two copies of the package) has one addon.
  Object.defineProperty(binding.Tensor.prototype, inspect.custom, {
    configurable: true,
    value(this: Tensor) {
      return tensorText(this);
    },
  });
  for (const { prototype } of [binding.Tensor, binding.Graph]) {
    Object.defineProperty(prototype, Symbol.dispose, {
      configurable: true,
      value(this: { dispose(): void }) {
        this.dispose();
      },
    });
  }
  recognizeTensors(binding.Tensor);
  lazyTensor.link(binding.Tensor);
  lazyDevice.link(binding.Device);
}

/** What console.log shows of a tensor. What has been freed has no more than a dtype and a shape. */
function tensorText(tensor: Tensor): string {
  const { dtype, shape, disposed } = tensor;
  const head = `Tensor ${dtype} [${shape.join(", ")}]`;
  if (disposed) return `${head}, disposed`;
  const { device, byteLength, contiguous } = tensor;
  return `${head} on ${device.backend}:${device.index}, ${byteLength} bytes${contiguous ? "" : ", a strided view"}`;
}

const lazyTensor = lazyClass<typeof Binding.Tensor>("Tensor", "contiguous", load);
const lazyDevice = lazyClass<typeof Binding.Device>("Device", "nativeBf16", load);
recognizeTensors(lazyTensor.type);

/** The addon. Reading a member loads it. @throws DeviceError (from that read) which says why it cannot be loaded */
export const native: typeof Binding = lazyObject(load);

/** The addon's class of devices, to extend. */
export const NativeDevice = lazyDevice.type;

/**
 * A handle on memory of a device: row-major elements, or a strided view of them. Its methods throw `TypeError` after it
 * was disposed of, and `RangeError` for a shape or a position that does not fit.
 *
 * @example
 * ```ts
 * import { Device, Tensor } from "nextpatch";
 *
 * using tensor = new Tensor(Device.open("cpu"), "f32", [2, 3]);
 * tensor.write(Float32Array.of(1, 2, 3, 4, 5, 6));
 * const row = tensor.narrow(0, 1, 1); // a view: no copy
 * console.log(await row.read()); // 4, 5, 6
 * ```
 */
export const Tensor = lazyTensor.type;
/** With an element type: `Tensor<"f32">`. */
export type Tensor<D extends Binding.DType = Binding.DType> = Binding.Tensor<D>;

/** Which addon this process has. */
export interface AddonReport {
  /** Its file; null: there is none. */
  readonly path: string | null;
  /** The package that it is from; null: a local build. */
  readonly package: string | null;
  readonly version: string | null;
  /** Why there is none, in at most six lines that end in what to type; null if it is loaded. */
  readonly problem: string | null;
}

/** Loads the addon if it is not loaded yet, and says what came of it. */
export function addonReport(): AddonReport {
  const loaded = loadOnce();
  if ("problem" in loaded) return { path: null, package: null, version: null, problem: loaded.problem };
  const { from, binding } = loaded;
  return { path: from.file, package: from.package?.name ?? null, version: binding.version, problem: null };
}

/** Backends' libraries that end a process on this machine, a sentence each: others are used in their place. */
export function passedOverLibraries(): readonly string[] {
  return result !== null && "passedOver" in result ? result.passedOver : [];
}

export type {
  ArrayOf,
  BackendName,
  BackendReport,
  Device,
  DeviceReport,
  DType,
  Graph,
  MemoryCounters,
  NumbersOf,
  Product,
  SeenProduct,
  TableProduct,
} from "../binding.js";
