/**
 * What a program hears when a kernel makes an illegal access, for bench/gpu.sh quick:
 *
 *     npx tsx bench/gpu/quick/fault.ts cuda build/fault.node       # built from bench/gpu/fault.cu
 *     NEXTPATCH_SIMT_FAULT=3 npx tsx bench/gpu/quick/fault.ts simt
 *
 * The module's kernel runs in the process's CUDA context, beside operations that are in the queue. From then on every
 * wait must reject with a DeviceError that says what happened and what to do. Prints one JSON object; fails if not.
 */
import { constants } from "node:os";
import { resolve } from "node:path";
import { native } from "../../../lib/native.js";

const waits = 3;
const [backend, module] = process.argv.slice(2);
const device = new native.Device(backend as "cuda" | "simt", 0, 0);
const x = new native.Tensor(device, "f32", [backend === "cuda" ? 2 ** 28 : 2 ** 8]);

const heard: { name: string; message: string }[] = [];
async function hear(act: () => void | Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    const { name, message } = error as Error;
    heard.push({ name, message });
  }
}

// The queue has work left when the fault comes, and it may be heard of at once.
await hear(() => {
  for (let round = 0; round < 20; round++) native.normal(x, 1, round, 0);
  if (module !== undefined) {
    process.dlopen({ exports: {} } as NodeJS.Module, resolve(module), constants.dlopen.RTLD_NOW);
  }
});
for (let round = 0; round < waits; round++) {
  await hear(async () => {
    native.fill(x, round);
    await device.synchronize();
  });
}
const right = ({ name, message }: { name: string; message: string }) =>
  name === "DeviceError" &&
  message.includes("the device failed in an operation before this call: ") &&
  message.endsWith("The device is lost to this process; restart the process");
process.stdout.write(`${JSON.stringify({ heard })}\n`);
if (heard.length < waits || !heard.every(right)) process.exitCode = 1;
