/**
 * `nextpatch bench kernels` with a line of JSON for every kernel as it comes, for bench/gpu.sh quick:
 *
 *     npx tsx bench/gpu/quick/kernels.ts cuda
 *
 * The first line has all of the result but the kernels.
 */
import { benchKernels } from "../../../lib/bench/kernels/run.js";
import { Device, type DeviceSpec } from "../../../lib/device.js";

const device = Device.open(process.argv[2] as DeviceSpec);
const print = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`);
await benchKernels(device, {
  precision: "bf16",
  onKernel(done, _of, _name, { kernels, ...rest }) {
    if (done === 1) print(rest);
    print(kernels.at(-1)!);
  },
});
