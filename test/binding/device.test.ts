import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "@jest/globals";
import { Device } from "../../lib/device.js";
import { DeviceError, OutOfMemoryError } from "../../lib/errors.js";
import { native, Tensor } from "../../lib/native.js";
import { backends, cases, open } from "../support/backends.js";
import { failure } from "../support/failure.js";

const construct = (...args: unknown[]): unknown => Reflect.construct(native.Device, args);

it("the backends say what they are", () => {
  for (const report of native.backends()) {
    expect(report.available).toBe(report.devices.length > 0);
    if (report.available) {
      expect(report.problem).toBeNull();
      for (const device of report.devices) expect(device.totalBytes).toBeGreaterThan(0);
    } else {
      expect(report.problem).toMatch(/\w/);
    }
  }
  expect(native.backends().map((report) => report.name)).toEqual(["cpu", "cuda", "simt"]);
});

describe.each(backends)("Device on %s", (backend) => {
  const device = open(backend);

  it("says what it is", () => {
    expect([device.backend, device.index, typeof device.name, typeof device.nativeBf16]).toEqual([
      backend,
      0,
      "string",
      "boolean",
    ]);
  });

  it("refuses wrong arguments", () => {
    for (const args of [[], [1, 0, 0], [null, 0, 0], [{}, 0, 0]]) {
      const error = failure(() => construct(...args));
      expect(error.name).toBe("TypeError");
      expect(error.message).toMatch(/^Device: backend: expected .+ but received /);
    }
    for (const bad of [-1, 0.5, NaN, Infinity, 2 ** 40, "0", null, undefined, {}, Symbol("0")]) {
      for (const [name, args] of [
        ["index", [backend, bad, 0]],
        ["threads", [backend, 0, bad]],
      ] as const) {
        const error = failure(() => construct(...args));
        expect(error.name).toMatch(/^(Type|Range)Error$/);
        expect(error.message).toMatch(
          new RegExp(`^Device: ${name}: expected a whole number from 0 to 4096 but received `),
        );
      }
    }
  });

  it("says which device is missing", () => {
    expect(() => construct("tpu", 0, 0)).toThrow(RangeError);
    expect(() => construct("tpu", 0, 0)).toThrow("tpu");
    expect(() => construct(backend, 4000, 0)).toThrow(DeviceError);
    expect(() => construct(backend, 4000, 0)).toThrow(`${backend}:4000`);
  });

  it("reports memory it cannot give, and goes on", async () => {
    const error = failure(() => new Tensor(device, "f32", [2 ** 22, 2 ** 22])) as OutOfMemoryError;
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error.requestedBytes).toBe(2 ** 46);
    expect(error.freeBytes).toBeGreaterThan(0);
    expect(error.freeBytes).toBeLessThanOrEqual(device.memory().totalBytes);
    const tensor = new Tensor(device, "i32", [2]);
    native.fill(tensor, 3);
    expect([...(await tensor.read())]).toEqual([3, 3]);
    tensor.dispose();
  });

  it("counts the bytes in use and gives them back", async () => {
    await device.synchronize();
    const before = device.memory().usedBytes;
    const tensors = [1, 1000, 300_000].map((size) => new Tensor(device, "f32", [size]));
    const used = device.memory().usedBytes - before;
    expect(used).toBeGreaterThanOrEqual(4 * 301_001);
    expect(used).toBeLessThan(4 * 301_001 * 1.25);
    expect(device.memory().peakUsedBytes).toBeGreaterThanOrEqual(before + used);
    const view = tensors[2]!.narrow(0, 0, 1);
    for (const tensor of tensors) tensor.dispose();
    expect(device.memory().usedBytes).toBeGreaterThan(before); // the view is alive
    view.dispose();
    expect(device.memory().usedBytes).toBe(before);
    expect(device.memory().reservedBytes).toBeGreaterThanOrEqual(before);
  });

  it("asks the system for the same sizes once", async () => {
    const round = async (): Promise<void> => {
      const tensors = [17, 4096, 100_000].map((size) => new Tensor(device, "f32", [size]));
      for (const tensor of tensors) {
        tensor.write(new Float32Array(tensor.size));
        native.fill(tensor, 1);
        await tensor.read();
        tensor.dispose();
      }
      await device.synchronize();
    };
    await round();
    const { systemAllocations } = device.memory();
    for (let i = 0; i < 5; ++i) await round();
    expect(device.memory().systemAllocations).toBe(systemAllocations);
    const { reservedBytes, usedBytes } = device.memory();
    device.trim();
    expect(device.memory().reservedBytes).toBeLessThan(reservedBytes);
    expect(device.memory().usedBytes).toBe(usedBytes);
  });

  it("prefetches in the order of the queue, over the tensor's memory once more at most", async () => {
    const alone = new Device(backend, 0, 5); // with threads that no other test asks for, so that the memory is its own
    const [size, rounds] = [1000, 12];
    const tensor = new Tensor(alone, "i32", [size]);
    const copied = new Tensor(alone, "i32", [size]);
    const { usedBytes } = alone.memory();
    const data = new Int32Array(size);
    const reads: Promise<Int32Array>[] = [];
    for (let round = 0; round < rounds; ++round) {
      if (round % 4 === 3) tensor.write(data.fill(round));
      else tensor.prefetch(data.fill(round));
      if (round % 3 === 2) native.copy(copied, tensor);
      reads.push(tensor.read());
    }
    data.fill(-1); // may be changed at once
    const found = await Promise.all(reads);
    expect(found.map((read) => [...new Set(read)])).toEqual(Array.from({ length: rounds }, (_, round) => [round]));
    expect(new Set(await copied.read())).toEqual(new Set([11]));
    const more = alone.memory().usedBytes - usedBytes;
    expect(more).toBeGreaterThanOrEqual(backend === "cpu" ? 0 : 4 * size);
    expect(more).toBeLessThan(backend === "cpu" ? 1 : 4 * size + 512);
    const view = tensor.narrow(0, 10, 2);
    view.prefetch(Int32Array.of(7, 8));
    expect([...(await tensor.read()).slice(9, 13)]).toEqual([11, 7, 8, 11]);
    for (const each of [tensor, view, copied]) each.dispose();
    await alone.synchronize();
    expect(alone.memory().usedBytes).toBe(alone.memory().workspaceBytes);
  });

  it("prefetches one part of a tensor after the other", async () => {
    const alone = new Device(backend, 0, 8);
    const tensor = new Tensor(alone, "i32", [1000]);
    for (const part of [0, 1, 2, 3, 4]) tensor.narrow(0, part * 200, 200).prefetch(new Int32Array(200).fill(part));
    expect([...(await tensor.read())]).toEqual(Array.from({ length: 1000 }, (_, i) => Math.floor(i / 200)));
  });

  it("prefetches to memory that earlier operations used for something else", async () => {
    const alone = new Device(backend, 0, 6);
    const make = () => new Tensor(alone, "f32", [256]);
    const out = make();
    for (let round = 0; round < 12; ++round) {
      const [left, right] = [make(), make()];
      left.prefetch(new Float32Array(256).fill(round));
      native.copy(right, left);
      left.dispose(); // its blocks are the next tensors', in another role
      native.copy(out, right);
      right.dispose();
      await setTimeout(2); // so that the operations are enqueued, and the blocks given back, before anybody waits
      const spare = Array.from({ length: round % 3 }, make);
      const again = make(); // in one round or another, what arrives for it takes each of the blocks
      for (const value of [-1, -2]) again.prefetch(new Float32Array(256).fill(value));
      for (const tensor of [...spare, again]) tensor.dispose();
      expect(new Set(await out.read())).toEqual(new Set([round]));
    }
  });

  it("reads by way of page-locked memory where copies go on beside the queue", async () => {
    const alone = new Device(backend, 0, 7);
    const tensor = new Tensor(alone, "f32", [50_000]);
    native.fill(tensor, 2);
    expect(alone.memory().stagingBytes).toBe(0);
    expect((await tensor.read())[49_999]).toBe(2);
    if (backend === "cpu") expect(alone.memory().stagingBytes).toBe(0);
    else expect(alone.memory().stagingBytes).toBeGreaterThanOrEqual(200_000);
  });

  it("runs operations in order, and keeps tensors that the queue still needs", async () => {
    const tensor = new Tensor(device, "f32", [4]);
    const reads: Promise<Float32Array>[] = [];
    for (let i = 0; i < 20; ++i) {
      const scratch = new Tensor(device, "f32", [4]);
      native.fill(scratch, i);
      native.copy(tensor, scratch);
      scratch.dispose();
      reads.push(tensor.read());
    }
    expect((await Promise.all(reads)).map((data) => data[3])).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it("gives the memory of a disposed tensor to the next one while operations still use it", async () => {
    const alone = new Device(backend, 0, 9);
    const [total, size] = [new Tensor(alone, "f32", [1]), 20_000];
    native.fill(total, 0);
    const { usedBytes, systemAllocations } = alone.memory();
    for (let i = 1; i <= 200; ++i) {
      const scratch = new Tensor(alone, "f32", [size]);
      native.fill(scratch, i);
      native.sum(total, scratch, true);
      scratch.dispose();
      if (i % 50 === 0) alone.trim(); // must leave it to the queue
    }
    expect(alone.memory().usedBytes).toBe(usedBytes);
    expect(alone.memory().peakUsedBytes - usedBytes).toBeLessThan(4 * size + 512);
    expect(alone.memory().systemAllocations - systemAllocations).toBeLessThanOrEqual(5);
    expect((await total.read())[0]).toBe((size * 200 * 201) / 2);
    alone.trim();
    expect(alone.memory().reservedBytes).toBe(alone.memory().usedBytes);
  });

  it("takes as many operations as a caller likes, in their order", async () => {
    const tensor = new Tensor(device, "i32", [1]);
    for (let i = 0; i < 10_000; ++i) native.fill(tensor, i);
    expect([...(await tensor.read())]).toEqual([9999]);
  });

  it("rejects the first wait after a failure only, and skips what came between", async () => {
    const [tokens, table, out] = [
      new Tensor(device, "i32", [1]),
      new Tensor(device, "f32", [2, 32]),
      new Tensor(device, "f32", [1, 32]),
    ];
    native.fill(table, 1);
    native.fill(tokens, 99);
    native.patchEmbeddingForward(out, tokens, table, 1);
    const [first, second] = await Promise.allSettled([device.synchronize(), device.synchronize()]);
    expect(first).toMatchObject({ status: "rejected" });
    expect(((first as PromiseRejectedResult).reason as Error).message).toContain("99");
    expect(second.status).toBe("fulfilled");
    native.fill(out, 5);
    expect((await out.read())[31]).toBe(5);
  });

  it("leaves the event loop free while it computes", async () => {
    const size = cases(backend, [512], [24])[0]!;
    const [a, b, c] = [0, 1, 2].map(() => new Tensor(device, "f32", [size, size]));
    for (const tensor of [a!, b!]) native.fill(tensor, 1);
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 1);
    // Longer queues until one wait is long enough for the timer to fire a few times in it.
    for (let products = 10; ticks < 3 && products <= 10_000; products *= 10) {
      for (let i = 0; i < products; ++i) native.matmul(c!, a!, b!, false, false, false);
      ticks = 0;
      await device.synchronize();
    }
    clearInterval(timer);
    expect(ticks).toBeGreaterThanOrEqual(3);
    expect((await c!.read())[0]).toBe(size);
  });
});
