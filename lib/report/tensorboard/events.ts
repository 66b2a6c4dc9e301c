/**
 * TensorBoard's events, in the encoding of protocol buffers, as far as scalars need it:
 *
 *     Event { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; SessionLog session_log = 7; }
 *     Summary { repeated Value value = 1; }   Value { string tag = 1; float simple_value = 2; }
 *     SessionLog { SessionStatus status = 1; }   START = 1
 */

const [VARINT, DOUBLE, BYTES, FLOAT] = [0, 1, 2, 5] as const;

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}

const field = (number: number, type: number, value: Uint8Array): Buffer =>
  Buffer.concat([varint(8 * number + type), value]);

const nested = (number: number, value: Uint8Array): Buffer =>
  field(number, BYTES, Buffer.concat([varint(value.length), value]));

function event(step: number, content: Uint8Array): Buffer {
  const time = Buffer.alloc(8);
  time.writeDoubleLE(Date.now() / 1000);
  return Buffer.concat([field(1, DOUBLE, time), field(2, VARINT, varint(step)), content]);
}

/** The first event of a file. */
export const versionEvent = (): Buffer => event(0, nested(3, Buffer.from("brain.Event:2")));

/** Says that the writer begins at a step: TensorBoard forgets what it has seen of it and of later ones. */
export const startEvent = (step: number): Buffer => event(step, nested(7, field(1, VARINT, varint(1))));

/** Values of a step by their tags. */
export function scalarEvent(step: number, values: ReadonlyMap<string, number>): Buffer {
  const pieces = [...values].map(([tag, value]) => {
    const float = Buffer.alloc(4);
    float.writeFloatLE(value);
    return nested(1, Buffer.concat([nested(1, Buffer.from(tag)), field(2, FLOAT, float)]));
  });
  return event(step, nested(5, Buffer.concat(pieces)));
}

/** The step of an event that this file has made. */
export function stepOf(data: Uint8Array): number {
  let step = 0n;
  // After wall_time with its tag, and the tag of step.
  for (let at = 10, shift = 0n; at < data.length; at++, shift += 7n) {
    step |= BigInt(data[at]! & 127) << shift;
    if (data[at]! < 128) break;
  }
  return Number(step);
}
