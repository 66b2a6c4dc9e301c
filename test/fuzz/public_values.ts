/** Arguments that no caller should give, by name, so that a failure can be read. */
import { type Device, type DType, native, Tensor } from "../../lib/native.js";

/** What the caller's own getters throw, which passes through unchanged. */
export class Thrown extends Error {
  override name = "Thrown";
}

const thrower = (): never => {
  throw new Thrown("thrown by an argument");
};

const numbers = [
  0,
  -0,
  -1,
  0.5,
  1,
  3,
  1000,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 40,
  2 ** 53,
  2 ** 63,
  1e308,
  -1e308,
  5e-324,
  Number.NaN,
  Infinity,
];

const cyclic: unknown[] = [];
cyclic.push(cyclic, { cyclic });
const disposed = (tensor: Tensor): Tensor => {
  const gone = new Tensor(tensor.device, tensor.dtype, tensor.shape);
  gone.dispose();
  return gone;
};
const detached = (): Float32Array => {
  const array = new Float32Array(4);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
};
const nested = (depth: number): unknown => {
  let value: unknown = [];
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? { value } : [value];
  return value;
};

/** A tensor whose values are 0, so that they are ids, too. */
function zeros(device: Device, dtype: DType, shape: readonly number[]): Tensor {
  const tensor = new Tensor(device, dtype, shape);
  native.fill(tensor, 0);
  return tensor;
}

/** What a value is made from. */
export interface Right {
  /** The argument that is right. */
  readonly value: unknown;
  /** All arguments of the call. */
  readonly all: readonly unknown[];
  /** A number at random. */
  readonly pick: number;
}

type Make = (right: Right) => unknown;

const otherDtype: Readonly<Record<DType, DType>> = { f32: "bf16", bf16: "i32", i32: "f32" };

/** Of a tensor, or of the argument as it is. */
const ofTensor =
  (change: (tensor: Tensor, right: Right) => unknown): Make =>
  (right) =>
    right.value instanceof Tensor ? change(right.value, right) : right.value;

/** Of an object, or of the argument as it is. */
const ofObject =
  (change: (object: Record<string, unknown>, key: string, pick: number) => unknown): Make =>
  ({ value, pick }) => {
    if (typeof value !== "object" || value === null) return value;
    const keys = Object.keys(value);
    return change(value as Record<string, unknown>, keys[pick % Math.max(1, keys.length)] ?? "x", pick);
  };

/** A copy of an object, whose field `key` is another. */
function withField(object: Record<string, unknown>, key: string, field: PropertyDescriptor): unknown {
  if (Array.isArray(object) && object.length > 1000) return object; // holes, for the most part
  const copy = Array.isArray(object) ? [...(object as unknown[])] : { ...object };
  return Object.defineProperty(copy, key, { enumerable: true, configurable: true, ...field });
}

export const publicValues: Readonly<Record<string, Make>> = {
  right: ({ value }) => value,
  undefined: () => undefined,
  null: () => null,
  boolean: ({ pick }) => pick % 2 === 0,
  number: ({ pick }) => numbers[pick % numbers.length],
  numbers: ({ pick }) => [numbers[pick % numbers.length], numbers[(pick >> 5) % numbers.length]],
  "empty text": () => "",
  text: () => "text",
  "odd text": () => "\u0000\ud800\n\u202e__proto__",
  "long text": () => "x y".repeat(50_000),
  bigint: ({ pick }) => 2n ** BigInt(pick % 100),
  symbol: () => Symbol("s"),
  function: () => thrower,
  object: () => ({}),
  array: () => [],
  holes: ({ pick }) => new Array([1, 1000, 2 ** 32 - 1][pick % 3]!),
  "no prototype": () => Object.create(null) as unknown,
  cyclic: () => cyclic,
  nested: ({ pick }) => nested([100, 20_000][pick % 2]!),
  date: () => new Date(Number.NaN),
  map: () => new Map([["a", 1]]),
  promise: () => Promise.resolve(1),
  "texts that throw": () => ({ toString: thrower, valueOf: thrower, toJSON: thrower, [Symbol.toPrimitive]: thrower }),
  proxy: ({ value }) => new Proxy(typeof value === "object" && value !== null ? value : {}, {}),
  "proxy that throws": () => new Proxy({}, { get: thrower, has: thrower, ownKeys: thrower, getPrototypeOf: thrower }),
  revoked: () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
  "its prototype": ({ value }) => (typeof value === "object" ? (Object.create(value) as unknown) : value),
  "other array": ({ pick }) =>
    [
      new Float32Array(4),
      new Int32Array(0),
      new BigInt64Array(2),
      new Int32Array(new SharedArrayBuffer(16)),
      new Uint8ClampedArray(3),
      new DataView(new ArrayBuffer(8)),
      Buffer.alloc(16),
    ][pick % 7],
  detached: () => detached(),
  "shared array": ({ pick }) => new Float32Array(new SharedArrayBuffer(4 * (pick % 9))),
  "other dtype": ofTensor((tensor) => zeros(tensor.device, otherDtype[tensor.dtype], tensor.shape)),
  "other shape": ofTensor((tensor, { pick }) => {
    const shape = tensor.shape.map((size, axis) =>
      axis === pick % tensor.shape.length ? size + 1 + (pick % 3) : size,
    );
    return zeros(tensor.device, tensor.dtype, shape);
  }),
  disposed: ofTensor(disposed),
  overlap: ofTensor((tensor, { all, pick }) => {
    const others = all.filter(
      (other): other is Tensor => other instanceof Tensor && other.dtype === tensor.dtype && other.size >= tensor.size,
    );
    const other = others[pick % Math.max(1, others.length)] ?? tensor;
    return other
      .reshape([other.size])
      .narrow(0, other.size - tensor.size, tensor.size)
      .reshape(tensor.shape);
  }),
  "strided view": ofTensor(({ device, dtype, shape }) => {
    const wider = zeros(device, dtype, [...shape.slice(0, -1), shape.at(-1)! + 3]);
    return wider.narrow(shape.length - 1, 1, shape.at(-1)!);
  }),
  "field that throws": ofObject((object, key) => withField(object, key, { get: thrower })),
  "field of junk": ofObject((object, key, pick) =>
    withField(object, key, { value: [null, "x", -1, 2 ** 53, [], Symbol("s"), 1n][pick % 7] }),
  ),
  "field of another": ofObject((object, key, pick) =>
    withField(object, key, { value: object[Object.keys(object)[(pick >> 4) % 8] ?? key] }),
  ),
  "no field": ofObject((object, key) => {
    const copy = { ...object };
    delete copy[key];
    return copy;
  }),
  "more fields": ofObject((object) => ({ ...object, __proto__x: 1, ["x".repeat(10_000)]: 1 })),
};
