import { describe, expect, it } from "@jest/globals";
import { Device } from "../../lib/device.js";
import { DeviceError } from "../../lib/errors.js";
import { type Graph, native, Tensor } from "../../lib/native.js";
import { backends, open } from "../support/backends.js";
import { failure } from "../support/failure.js";

describe.each(backends)("a graph on %s", (backend) => {
  const device = open(backend);

  const filledOn = (on: Device, ...values: number[]): Tensor<"f32"> => {
    const tensor = new Tensor(on, "f32", [values.length]);
    tensor.write(Float32Array.from(values));
    return tensor;
  };
  const filled = (...values: number[]): Tensor<"f32"> => filledOn(device, ...values);
  /** What `body` enqueues, recorded. */
  const record = (body: () => void, on: Device = device): Graph => {
    on.beginCapture();
    let graph: Graph | null = null;
    try {
      body();
    } finally {
      graph = on.endCapture();
    }
    return graph;
  };

  it("records operations instead of running them, and runs all of them at every launch", async () => {
    const [total, step] = [filled(1), filled(2, 3)];
    const graph = record(() => {
      native.sum(total, step, true);
      native.fill(step, 10);
    });
    expect([...(await total.read()), ...(await step.read())]).toEqual([1, 2, 3]);
    graph.launch();
    expect([...(await total.read()), ...(await step.read())]).toEqual([6, 10, 10]);
    graph.launch();
    graph.launch();
    expect([...(await total.read()), ...(await step.read())]).toEqual([46, 10, 10]);
    graph.dispose();
  });

  it("runs over what its tensors hold at the launch, in the order of the queue", async () => {
    const [total, step] = [filled(0), filled(1)];
    const graph = record(() => native.sum(total, step, true));
    for (const value of [1, 20, 300]) {
      step.write(Float32Array.of(value));
      graph.launch();
    }
    native.sum(total, step, true);
    expect([...(await total.read())]).toEqual([621]);
    graph.dispose();
  });

  it("keeps the memory of tensors that were disposed of, until it is itself", async () => {
    const alone = new Device(backend, 0, 3); // with threads that no other test asks for, so that the memory is its own
    const total = filledOn(alone, 0);
    const { usedBytes } = alone.memory();
    const step = filledOn(alone, 1, 1);
    const graph = record(() => {
      native.fill(step, 4);
      native.sum(total, step, true);
    }, alone);
    step.dispose();
    const other = filledOn(alone, 7, 7); // would be given the memory, were it free
    graph.launch();
    graph.launch();
    expect([...(await total.read()), ...(await other.read())]).toEqual([16, 7, 7]);
    other.dispose();
    graph.dispose();
    await alone.synchronize();
    expect(alone.memory().usedBytes).toBe(usedBytes);
  });

  it("gives its memory back when it is disposed of, and its launches in the queue still run", async () => {
    const alone = new Device(backend, 0, 10);
    const total = filledOn(alone, 0);
    const { usedBytes } = alone.memory();
    const step = filledOn(alone, 1, 1);
    const graph = record(() => {
      native.fill(step, 4);
      native.sum(total, step, true);
    }, alone);
    step.dispose();
    graph.launch();
    graph.launch();
    graph.dispose();
    expect(alone.memory().usedBytes).toBe(usedBytes);
    const other = filledOn(alone, 7, 7); // is given the memory
    expect([...(await total.read()), ...(await other.read())]).toEqual([16, 7, 7]);
  });

  it("is disposed of by `using`, and made by a capture only", () => {
    const total = filled(0);
    const graph = record(() => native.fill(total, 1));
    graph[Symbol.dispose]();
    expect(failure(() => graph.launch())).toMatchObject({
      name: "TypeError",
      message: "launch: graph: expected a live graph but received a disposed one",
    });
    expect(failure(() => Reflect.construct(native.Graph, [])).name).toBe("TypeError");
  });

  it("may be disposed of while it is in the queue, and more than once", async () => {
    const [total, step] = [filled(0), filled(5)];
    const graph = record(() => native.sum(total, step, true));
    graph.launch();
    graph.dispose();
    graph.dispose();
    expect([...(await total.read())]).toEqual([5]);
    expect(() => graph.launch()).toThrow(/disposed/);
  });

  it("checks operations as they are recorded", async () => {
    const [total, wrong] = [filled(1), new Tensor(device, "i32", [2])];
    const graph = record(() => {
      expect(() => native.sum(total, wrong, true)).toThrow(TypeError);
      native.fill(total, 3);
    });
    graph.launch();
    expect([...(await total.read())]).toEqual([3]);
    graph.dispose();
  });

  it("may be empty", async () => {
    const graph = record(() => undefined);
    graph.launch();
    await device.synchronize();
    graph.dispose();
  });

  it("refuses to write, read, wait or launch while operations are recorded", async () => {
    const tensor = filled(1);
    const earlier = record(() => native.fill(tensor, 2));
    const refused: Error[] = [];
    const graph = record(() => {
      for (const body of [
        () => tensor.write(Float32Array.of(9)),
        () => tensor.read(),
        () => device.synchronize(),
        () => tensor.prefetch(Float32Array.of(9)),
        () => device.marks(1),
        () => earlier.launch(),
        () => device.beginCapture(),
      ])
        refused.push(failure(body));
      native.fill(tensor, 3);
    });
    for (const error of refused) expect(error).toBeInstanceOf(DeviceError);
    expect(refused.slice(0, 4).map(({ message }) => message.split(":")[0])).toEqual([
      "write",
      "read",
      "synchronize",
      "prefetch",
    ]);
    expect([...(await tensor.read())]).toEqual([1]);
    graph.launch();
    expect([...(await tensor.read())]).toEqual([3]);
  });

  it("has to be begun before it is ended", () => {
    const error = failure(() => device.endCapture());
    expect(error).toBeInstanceOf(DeviceError);
    expect(error.message).toBe("endCapture: no capture was begun");
  });

  it("reports an operation that fails in it at the next wait, and can be launched again", async () => {
    const [out, table, tokens] = [
      new Tensor(device, "f32", [1, 4]),
      new Tensor(device, "f32", [2, 4]),
      new Tensor(device, "i32", [1]),
    ];
    native.fill(table, 1);
    const graph = record(() => native.patchEmbeddingForward(out, tokens, table, 1));
    tokens.write(Int32Array.of(2));
    graph.launch();
    await expect(device.synchronize()).rejects.toThrow(RangeError);
    tokens.write(Int32Array.of(1));
    graph.launch();
    expect([...(await out.read())]).toEqual([1, 1, 1, 1]);
    graph.dispose();
  });
});

describe.each(backends)("marks on %s", (backend) => {
  const device = open(backend);

  it("tell the times at which the queue came by, since the first", async () => {
    const tensor = new Tensor(device, "f32", [2000]);
    device.mark(0);
    native.fill(tensor, 1);
    device.mark(1);
    device.mark(2);
    const times = await device.marks(3);
    expect(times).toHaveLength(3);
    expect(times[0]).toBe(0);
    expect(times[1]).toBeGreaterThan(0);
    expect(times[2]).toBeGreaterThanOrEqual(times[1]!);
    expect(times[2]).toBeLessThan(60);
  });

  it("are noted anew by every launch of the graph they are part of", async () => {
    const tensor = new Tensor(device, "f32", [2000]);
    for (const slot of [0, 1, 2]) device.mark(slot); // a slot has a time before the graph has run
    device.beginCapture();
    device.mark(1);
    native.fill(tensor, 1);
    device.mark(2);
    const graph = device.endCapture();
    let last = (await device.marks(3))[2]!;
    for (let launch = 0; launch < 3; ++launch) {
      graph.launch();
      const times = await device.marks(3);
      expect(times[1]).toBeGreaterThan(last);
      expect(times[2]).toBeGreaterThan(times[1]!);
      last = times[2]!;
    }
    graph.dispose();
  });

  it("are refused where a slot was never marked, or only by a graph that was not launched", async () => {
    const alone = new Device(backend, 0, 4); // with threads that no other test asks for, so that nothing is marked
    const refused = async (slot: number): Promise<void> => {
      const error = await alone.marks(slot + 1).then(
        () => null,
        (reason: Error) => reason,
      );
      expect(error).toBeInstanceOf(RangeError);
      expect(error!.message).toBe(
        `marks: count: expected slots that were marked but received slot ${slot}, which never was`,
      );
    };
    await refused(0);
    alone.mark(0);
    expect([...(await alone.marks(1))]).toEqual([0]);
    await refused(1);
    alone.beginCapture();
    alone.mark(1);
    const graph = alone.endCapture();
    await refused(1);
    graph.launch();
    expect((await alone.marks(2))[1]).toBeGreaterThan(0);
    graph.dispose();
  });

  it.each([-1, 4096, 0.5, "0"])("are in slots 0 to 4095: not in %p", (slot) => {
    expect(failure(() => device.mark(slot as number)).name).toMatch(/^(Range|Type)Error$/);
  });
});
