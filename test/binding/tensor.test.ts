import { describe, expect, it } from "@jest/globals";
import { Device } from "../../lib/device.js";
import { native, Tensor } from "../../lib/native.js";
import { backends, open } from "../support/backends.js";
import { failure } from "../support/failure.js";
import { bits } from "../support/memory.js";

const construct = (...args: unknown[]): Tensor => Reflect.construct(Tensor, args) as Tensor;

describe.each(backends)("Tensor on %s", (backend) => {
  const device = open(backend);

  it("says what it is", () => {
    const tensor = new Tensor(device, "bf16", [2, 3, 4]);
    expect([tensor.dtype, tensor.shape, tensor.size, tensor.byteLength, tensor.disposed]).toEqual([
      "bf16",
      [2, 3, 4],
      24,
      48,
      false,
    ]);
    expect(tensor.device).toBe(device);
    expect([tensor, tensor.narrow(0, 1, 1), tensor.narrow(1, 1, 2)].map(({ contiguous }) => contiguous)).toEqual([
      true,
      true,
      false,
    ]);
    expect(tensor.reshape([24]).device).toBe(device);
  });

  it.each([
    ["f32", Float32Array.of(1, -0, NaN, Infinity, 1e-45)],
    ["bf16", Uint16Array.of(0, 0x7fc0, 0xffff, 1, 0x8000)],
    ["i32", Int32Array.of(0, -1, 2 ** 31 - 1, -(2 ** 31), 7)],
  ] as const)("gives back the %s that were written, bit for bit", async (dtype, data) => {
    const tensor = construct(device, dtype, [5]);
    tensor.write(data as Float32Array);
    const before = new Uint8Array(data.slice().buffer);
    data.fill(0); // the call has taken its copy
    expect([...(await bits(tensor))]).toEqual([...before]);
  });

  it("views share memory, which lives as long as one of them", async () => {
    const tensor = new Tensor(device, "f32", [3, 2]);
    tensor.write(Float32Array.of(0, 1, 2, 3, 4, 5));
    const view = tensor.narrow(0, 1, 2).reshape([4]);
    tensor.dispose();
    expect(tensor.disposed).toBe(true);
    view.narrow(0, 0, 1).write(Float32Array.of(9));
    expect([...(await view.read())]).toEqual([9, 3, 4, 5]);
    view.dispose();
    view.dispose();
    expect(view.disposed).toBe(true);
  });

  it("frees its memory under all views of it", async () => {
    const alone = new Device(backend, 0, 3); // with threads that no other test asks for, so that the memory is its own
    const { usedBytes } = alone.memory(); // a GPU's workspace
    const tensor = new Tensor(alone, "f32", [1000]);
    const view = tensor.narrow(0, 8, 80).reshape([8, 10]);
    native.fill(view, 7);
    const data = view.read();
    view.free();
    view.free();
    expect([tensor.disposed, view.disposed]).toEqual([true, true]);
    expect(failure(() => tensor.reshape([1000])).message).toBe(
      "reshape: tensor: expected a live tensor but received a disposed one",
    );
    expect((await data).every((x) => x === 7)).toBe(true); // what was in the queue has run
    expect(alone.memory().usedBytes).toBe(usedBytes);
    tensor.dispose();
    tensor.free();
  });

  it("is a tensor like any other after a reshape to fewer dimensions", async () => {
    const row = new Tensor(device, "f32", [2, 3]).narrow(0, 1, 1).reshape([3]);
    const values = new Tensor(device, "f32", [3]);
    values.write(Float32Array.of(1, 2, 3));
    native.copy(row, values);
    expect([...(await row.read())]).toEqual([1, 2, 3]);
  });

  it("is disposed of by `using`", () => {
    const tensor = new Tensor(device, "f32", [1]);
    tensor[Symbol.dispose]();
    expect(tensor.disposed).toBe(true);
  });

  it("finishes a read whose tensor is disposed of meanwhile", async () => {
    const tensor = new Tensor(device, "i32", [1000]);
    native.fill(tensor, 7);
    const data = tensor.read();
    tensor.dispose();
    native.fill(new Tensor(device, "i32", [1000]), 8);
    expect((await data).every((x) => x === 7)).toBe(true);
  });

  it("in bf16 is read as numbers, or as its bits", async () => {
    const words = Uint16Array.from({ length: 70_001 }, (_, i) => i);
    for (const bits of [words, words.subarray(0x3f80, 0x3f81), words.subarray(0x3f80, 0x3f83)]) {
      const tensor = new Tensor(device, "bf16", [bits.length]);
      tensor.write(bits);
      expect([...(await tensor.readBits())]).toEqual([...bits]);
      const numbers = await tensor.read();
      expect(numbers.constructor.name).toBe("Float32Array");
      const upper = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
      expect(upper.every((word, i) => word === (bits[i]! << 16) >>> 0)).toBe(true);
    }
    const whole = new Tensor(device, "i32", [2]);
    whole.write(Int32Array.of(-1, 7));
    expect([[...(await whole.read())], [...(await whole.readBits())]]).toEqual([
      [-1, 7],
      [-1, 7],
    ]);
  });

  it("is read into shared memory, after the operations before, and whatever is disposed of meanwhile", async () => {
    const memory = new Float32Array(new SharedArrayBuffer(16_000)).fill(1);
    const source = new Tensor(device, "f32", [3, 1000]);
    native.fill(source, 7);
    const copied = source.readInto(memory.subarray(500, 3500));
    native.fill(source, 8);
    source.dispose();
    expect(await copied).toBeUndefined();
    expect(memory.subarray(500, 3500).every((x) => x === 7)).toBe(true);
    expect([...memory.subarray(498, 500), ...memory.subarray(3500, 3502)]).toEqual([1, 1, 1, 1]);
    const bits = new Uint16Array(new SharedArrayBuffer(4));
    const half = new Tensor(device, "bf16", [2]);
    native.fill(half, 1);
    await half.readInto(bits);
    expect([...bits]).toEqual([0x3f80, 0x3f80]);
  });

  it("is read into no memory that may be taken away, and into none while operations are recorded", async () => {
    const source = new Tensor(device, "f32", [2, 3]);
    const into = (target: unknown) => failure(() => void source.readInto(target as Float32Array)).message;
    const shared = (bytes: number) => new SharedArrayBuffer(bytes);
    const expected = "readInto: target: expected a Float32Array";
    expect(into(new Float32Array(6))).toBe(`${expected} on a SharedArrayBuffer but received one on an ArrayBuffer`);
    expect(into(new Float32Array(shared(28)))).toBe(`${expected} of 6 elements, as in shape [2, 3], but received 7`);
    expect(into(new Int32Array(shared(24)))).toMatch(/^readInto: target: expected a Float32Array for dtype f32 but/);
    expect(into(shared(24))).toMatch(/^readInto: target: expected a Float32Array for dtype f32 but/);
    const view = failure(() => void source.narrow(1, 0, 2).readInto(new Float32Array(shared(16))));
    expect(view.message).toMatch(/^readInto: tensor: expected a contiguous tensor/);
    const target = new Float32Array(shared(24));
    device.beginCapture();
    expect(into(target)).toBe("readInto: not possible while operations are captured");
    device.endCapture().dispose();
    await source.readInto(target);
  });

  it.each<[string, unknown[], string]>([
    ["no arguments", [], "TypeError"],
    ["no device", [{}, "f32", [1]], "TypeError"],
    ["a spoofed device", [Object.create(Object.getPrototypeOf(device)), "f32", [1]], "TypeError"],
    ["no dtype", [device, undefined, [1]], "TypeError"],
    ["an unknown dtype", [device, "f64", [1]], "TypeError"],
    ["a symbol for dtype", [device, Symbol("f32"), [1]], "TypeError"],
    [
      "a dtype whose toString throws",
      [
        device,
        {
          toString: () => {
            throw new Error("mine");
          },
        },
        [1],
      ],
      "TypeError",
    ],
    ["no shape", [device, "f32"], "TypeError"],
    ["a number for shape", [device, "f32", 3], "TypeError"],
    ["an array-like shape", [device, "f32", { length: 1, 0: 1 }], "TypeError"],
    ["no dimensions", [device, "f32", []], "RangeError"],
    ["five dimensions", [device, "f32", [1, 1, 1, 1, 1]], "RangeError"],
    ["a dimension of 0", [device, "f32", [2, 0]], "RangeError"],
    ["a negative dimension", [device, "f32", [-1]], "RangeError"],
    ["NaN for a dimension", [device, "f32", [NaN]], "RangeError"],
    ["half a dimension", [device, "f32", [1.5]], "RangeError"],
    ["a string for a dimension", [device, "f32", ["1"]], "TypeError"],
    ["a hole", [device, "f32", new Array(2)], "TypeError"],
    ["a symbol for a dimension", [device, "f32", [Symbol("1")]], "TypeError"],
    [
      "an object whose toString throws",
      [
        device,
        "f32",
        [
          {
            toString: () => {
              throw new Error("mine");
            },
          },
        ],
      ],
      "TypeError",
    ],
    ["Infinity", [device, "f32", [Infinity]], "RangeError"],
    ["2^53", [device, "f32", [2 ** 53]], "RangeError"],
    ["a product that overflows", [device, "f32", [2 ** 40, 2 ** 40]], "RangeError"],
  ])("constructed with %s throws", (_, args, name) => {
    const error = failure(() => construct(...args));
    expect(error.name).toBe(name);
    expect(error.message).toMatch(/^Tensor: (device|dtype|shape): expected .+ but received /);
  });

  it("cannot be constructed without new", () => {
    for (const type of [native.Tensor, native.Device]) {
      expect(failure(() => (type as unknown as (...args: unknown[]) => void)(device, "f32", [1])).name).toBe(
        "TypeError",
      );
      expect(failure(() => Reflect.apply(type, new Tensor(device, "f32", [1]), [])).name).toBe("TypeError");
    }
  });

  it("methods say what is wrong with their arguments", () => {
    const tensor = new Tensor(device, "f32", [4, 6]);
    const view = tensor.narrow(1, 1, 2);
    const call = (
      method: "reshape" | "narrow" | "write" | "prefetch" | "read" | "readBits",
      on: Tensor,
      ...args: unknown[]
    ): Error => failure(() => Reflect.apply(on[method] as (...args: unknown[]) => unknown, on, args));
    const range = [
      call("reshape", tensor, [5, 5]),
      call("reshape", tensor, []),
      call("reshape", tensor, [24, 1.5]),
      call("reshape", view, [8]),
      call("narrow", tensor, 2, 0, 1),
      call("narrow", tensor, -1, 0, 1),
      call("narrow", tensor, 0, 4, 1),
      call("narrow", tensor, 0, 2, 3),
      call("narrow", tensor, 0, 0, 0),
      call("narrow", tensor, 0, NaN, 1),
      call("narrow", tensor, 0, 0, 2 ** 60),
      call("write", tensor, new Float32Array(23)),
      call("write", view, new Float32Array(8)),
      call("read", view),
      call("readBits", view),
      call("prefetch", tensor, new Float32Array(25)),
      call("prefetch", view, new Float32Array(8)),
    ];
    for (const error of range) {
      expect(error.name).toBe("RangeError");
      expect(error.message).toMatch(/^(reshape|narrow|write|prefetch|read|readBits): \w+: expected .+ but received /);
    }
    const type = [
      call("reshape", tensor),
      call("reshape", tensor, "24"),
      call("narrow", tensor),
      call("narrow", tensor, "0", 0, 1),
      call("narrow", tensor, Symbol("0"), 0, 1),
      call("write", tensor),
      call("write", tensor, [1, 2]),
      call("write", tensor, new Float64Array(24)),
      call("write", tensor, new ArrayBuffer(96)),
      call("write", tensor, new DataView(new ArrayBuffer(96))),
      call("write", tensor, new Proxy(new Float32Array(24), {})),
      call("prefetch", tensor, new Int32Array(24)),
    ];
    for (const error of type) {
      expect(error.name).toBe("TypeError");
      expect(error.message).toMatch(/^(reshape|narrow|write|prefetch): \w+: expected .+ but received /);
    }
    const detached = new Float32Array(24);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    const gone = call("write", tensor, detached);
    expect(gone.name).toBe("TypeError");
    expect(gone.message).toContain(
      "write: data: expected a Float32Array but received one whose buffer was transferred",
    );
    tensor.dispose();
    for (const error of [
      call("reshape", tensor, [24]),
      call("narrow", tensor, 0, 0, 1),
      call("read", tensor),
      call("readBits", tensor),
      call("write", tensor, new Float32Array(24)),
      call("prefetch", tensor, new Float32Array(24)),
    ]) {
      expect(error.name).toBe("TypeError");
      expect(error.message).toMatch(/^\w+: tensor: expected a live tensor but received a disposed one$/);
    }
  });

  it("reads without an ArrayBuffer that has been replaced", async () => {
    const tensor = new Tensor(device, "f32", [4]);
    native.fill(tensor, 3);
    const main = tensor.read.constructor("return globalThis")() as typeof globalThis; // where the addon looks for it
    const { ArrayBuffer: original } = main;
    main.ArrayBuffer = (() => ({})) as unknown as typeof ArrayBuffer;
    const data = tensor.read();
    main.ArrayBuffer = original;
    expect([...(await data)]).toEqual([3, 3, 3, 3]);
  });

  it("survives a shape that disposes of the tensor while it is read", () => {
    const tensor = new Tensor(device, "f32", [4]);
    const shape = [2, 2];
    Object.defineProperty(shape, 1, {
      get: () => {
        tensor.dispose();
        return 2;
      },
    });
    try {
      expect(tensor.reshape(shape).disposed).toBe(true);
    } catch (error) {
      expect((error as Error).name).toBe("TypeError");
    }
  });
});
