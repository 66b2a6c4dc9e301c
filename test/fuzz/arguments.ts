/** A fuzzer of the native operations: valid calls of them, with some of their arguments changed. */
import fc from "fast-check";
import { Device } from "../../lib/device.js";
import { type DType, native, Tensor } from "../../lib/native.js";
import { type Argument, invoke, operations } from "../support/operations.js";
import { type FuzzTarget, fuzzTarget } from "./target.js";

const numbers = [
  0,
  -0,
  -1,
  0.5,
  3,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  2 ** 63,
  1e308,
  5e-324,
  Number.NaN,
  Infinity,
];
const junk = [null, undefined, true, "f32", 1n, {}, [], Symbol("s"), new Float32Array(4), () => 1, new Proxy({}, {})];
const dtypes: readonly DType[] = ["f32", "bf16", "i32"];

interface Edit {
  readonly place: number;
  readonly kind:
    | "number"
    | "junk"
    | "dtype"
    | "shape"
    | "rank"
    | "overlap"
    | "strided"
    | "disposed"
    | "elsewhere"
    | "ids";
  readonly value: number;
}

interface Call {
  readonly operation: number;
  readonly edits: readonly Edit[];
}

const edit: fc.Arbitrary<Edit> = fc.record({
  place: fc.nat(20),
  kind: fc.constantFrom(
    "number",
    "junk",
    "dtype",
    "shape",
    "rank",
    "overlap",
    "strided",
    "disposed",
    "elsewhere",
    "ids",
  ),
  value: fc.nat(1000),
});
const calls: fc.Arbitrary<Call> = fc.record({ operation: fc.nat(1000), edits: fc.array(edit, { maxLength: 4 }) });

/** Of one backend. */
export function argumentTarget(backend: "cpu" | "simt"): FuzzTarget {
  const device = new Device(backend, 0, 1);
  const elsewhere = new Device(backend, 0, 1);
  const known = operations(device);
  const call = async ({ operation, edits }: Call): Promise<void> => {
    const { name, arguments: args } = known[operation % known.length]!;
    const values = args.map(({ value }) => value);
    const made: Tensor[] = [];
    const tensor = (on: Device, dtype: DType, shape: readonly number[], fill = 0): Tensor => {
      const one = new Tensor(on, dtype, shape);
      made.push(one);
      native.fill(one, fill);
      return one;
    };
    for (const { place, kind, value } of edits) {
      const at = place % args.length;
      values[at] = changed(args, values, at, { kind, value, device, elsewhere, tensor });
    }
    try {
      invoke(name, values);
    } finally {
      try {
        // Ids outside the vocabulary are found while the device computes.
        await device.synchronize();
      } finally {
        for (const one of made) one.dispose();
      }
    }
  };
  return fuzzTarget(`arguments-${backend}`, calls, call, { ofArguments: true });
}

interface Change {
  readonly kind: Edit["kind"];
  readonly value: number;
  readonly device: Device;
  readonly elsewhere: Device;
  readonly tensor: (on: Device, dtype: DType, shape: readonly number[], fill?: number) => Tensor;
}

function changed(args: readonly Argument[], values: readonly unknown[], at: number, change: Change): unknown {
  const { kind, value, device, elsewhere, tensor } = change;
  const own = args[at]!.value;
  if (kind === "junk") return junk[value % junk.length];
  if (kind === "number" || !(own instanceof Tensor)) return numbers[value % numbers.length];
  const { dtype, shape } = own;
  switch (kind) {
    case "dtype":
      return tensor(device, dtypes[value % dtypes.length]!, shape);
    case "shape":
      return tensor(
        device,
        dtype,
        shape.map((size, axis) => (axis === value % shape.length ? size + 1 + (value % 3) : size)),
      );
    case "rank":
      return tensor(device, dtype, value % 2 === 0 ? [...shape, 1] : [own.size]);
    case "overlap": {
      const others = values.filter((other): other is Tensor => other instanceof Tensor && other.size >= own.size);
      const other = others[value % Math.max(1, others.length)];
      return other === undefined
        ? own
        : other
            .reshape([other.size])
            .narrow(0, other.size - own.size, own.size)
            .reshape(shape);
    }
    case "strided": {
      const wider = tensor(device, dtype, [...shape.slice(0, -1), shape.at(-1)! + 1 + (value % 8)]);
      return wider.narrow(shape.length - 1, value % 2, shape.at(-1)!);
    }
    case "disposed": {
      const gone = new Tensor(device, dtype, shape);
      gone.dispose();
      return gone;
    }
    case "elsewhere":
      return tensor(elsewhere, dtype, shape);
    case "ids":
      return tensor(device, dtype, shape, [-1, 1e6, 2 ** 31 - 1, 11][value % 4]!);
  }
}
