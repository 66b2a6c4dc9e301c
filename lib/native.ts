/** The one place that loads the native addon. */
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type * as Binding from "../binding.js";
import { recognizeTensors } from "./arguments.js";
import { DeviceError, OutOfMemoryError } from "./errors.js";

const require = createRequire(import.meta.url);
const packageRoot = dirname(dirname(fileURLToPath(import.meta.url)));

function load(): typeof Binding {
  const find = require("bindings") as (options: { bindings: string; module_root: string }) => typeof Binding;
  try {
    return find({ bindings: "nextpatch", module_root: packageRoot });
  } catch (cause) {
    const first = String((cause as Error).message).split("\n")[0];
    throw new Error(
      `nextpatch's native addon could not be loaded: ${first}\n` +
        "Possible solutions:\n" +
        "- build it where the package lies: npm rebuild nextpatch (in a clone: npm ci)\n" +
        "- install what the build needs. Debian, Ubuntu: apt-get install -y g++ cmake libdnnl-dev",
      { cause },
    );
  }
}

export const native = load();

// Native code throws this realm's classes, so that `instanceof` works wherever the library is loaded.
native.setErrorClasses({ TypeError, RangeError, DeviceError, OutOfMemoryError });

// Configurable: a process that loads this module twice (two realms, two copies of the package) has one addon.
for (const { prototype } of [native.Tensor, native.Graph]) {
  Object.defineProperty(prototype, Symbol.dispose, {
    configurable: true,
    value(this: { dispose(): void }) {
      this.dispose();
    },
  });
}

recognizeTensors(native.Tensor);

/** A handle on device memory: dtype, shape, `write`, `read`, `dispose`. */
export const Tensor = native.Tensor;
/** With an element type: `Tensor<"f32">`. */
export type Tensor<D extends Binding.DType = Binding.DType> = Binding.Tensor<D>;
export type {
  ArrayOf,
  BackendName,
  BackendReport,
  Device,
  DeviceReport,
  DType,
  Graph,
  MemoryCounters,
  Product,
  SeenProduct,
  TableProduct,
} from "../binding.js";
