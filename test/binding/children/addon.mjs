/** The addon as lib/native.ts loads it, for processes that run without a TypeScript loader. */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
export const native = require("bindings")({
  bindings: "nextpatch",
  module_root: fileURLToPath(new URL("../../..", import.meta.url)),
});

class DeviceError extends Error {
  name = "DeviceError";
}
class OutOfMemoryError extends Error {
  name = "OutOfMemoryError";
}
native.setErrorClasses({ TypeError, RangeError, DeviceError, OutOfMemoryError });

/** The name of the error that `body` throws, or "nothing". */
export function thrown(body) {
  try {
    body();
    return "nothing";
  } catch (error) {
    return error.name;
  }
}
