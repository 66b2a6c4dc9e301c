/** WebAssembly reads outside its memory, which V8 hears of by a signal. Reports the error. */
import { report } from "./rank.mjs";

// (module (memory 1) (func (export "f") (param i32) (result i32) local.get 0 i32.load))
const bytes = Uint8Array.from([
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 5, 1, 1, 102, 0, 0],
  ...[10, 9, 1, 7, 0, 32, 0, 40, 2, 0, 11],
]);
const { instance } = await WebAssembly.instantiate(bytes);
let error = "nothing";
try {
  instance.exports.f(1 << 20);
} catch (thrown) {
  error = String(thrown);
}
report(error);
