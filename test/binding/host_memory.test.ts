/** Memory of the cpu backend: what is allocated and not written yet counts. */
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "@jest/globals";
import { Device } from "../../lib/device.js";
import { OutOfMemoryError } from "../../lib/errors.js";
import { native, Tensor } from "../../lib/native.js";
import { backends } from "../support/backends.js";
import { failure } from "../support/failure.js";

const GiB = 2 ** 30;

(backends.includes("cpu") ? describe : describe.skip)("the memory of cpu", () => {
  const device = Device.open("cpu", { threads: 2 });
  afterEach(() => device.trim());

  it("is refused to the tensor with which all would not fit, at once and with the reason", () => {
    const { freeBytes, totalBytes } = device.memory();
    const elements = Math.floor(freeBytes / 10); // 40 % of what is free
    const taken = [new Tensor(device, "f32", [elements]), new Tensor(device, "f32", [elements])];
    const error = failure(() => new Tensor(device, "f32", [elements])) as OutOfMemoryError;
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error.requestedBytes).toBe(4 * elements);
    expect(error.freeBytes).toBeLessThan(0.4 * freeBytes);
    expect(error.message).toBe(
      `out of memory on ${device.name}: asked for ${4 * elements} bytes, ${error.freeBytes} of ${totalBytes} are free, ` +
        `by ${device.memory().limitedBy}`,
    );
    for (const tensor of taken) tensor.free();
  });

  it("is refused to many small tensors, too", () => {
    const rest = new Tensor(device, "f32", [Math.floor((device.memory().freeBytes - GiB) / 4)]);
    const taken: Tensor[] = [];
    // 4 GiB in tensors of 8 MiB, none of which is ever written.
    const fill = () => {
      for (let i = 0; i < 512; i++) taken.push(new Tensor(device, "f32", [2 ** 21]));
    };
    expect(fill).toThrow(OutOfMemoryError);
    expect(taken.length).toBeGreaterThan(0);
    for (const tensor of [rest, ...taken]) tensor.free();
  });

  it("counts a page once, before it is written and afterwards", async () => {
    if (device.memory().limitedBy !== "MemAvailable in /proc/meminfo") return; // nobody else says what a group has free
    // What the kernel has free and the device has not, at one moment: other processes take and give back gigabytes.
    const unit = GiB / 4;
    const promised = () => {
      const available = Number(/MemAvailable: +(\d+) kB/.exec(readFileSync("/proc/meminfo", "utf8"))![1]) * 1024;
      return (available - device.memory().freeBytes) / unit;
    };
    expect(promised()).toBeCloseTo(0, 0);
    const tensor = new Tensor(device, "f32", [unit / 2]);
    expect(promised()).toBeGreaterThan(1.5);
    native.fill(tensor.narrow(0, 0, unit / 4), 1);
    await device.synchronize();
    expect(promised()).toBeGreaterThan(0.5);
    expect(promised()).toBeLessThan(1.5);
    tensor.free();
    await device.synchronize();
    device.trim();
    expect(promised()).toBeLessThan(0.5);
  });
});
