/** Reads TensorBoard's event files by their published format, with nothing of the code that writes them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface ReadEvent {
  readonly wallTime: number;
  readonly step: number;
  readonly version?: string;
  /** Status of a session's log: 1 is START. */
  readonly session?: number;
  readonly values: Readonly<Record<string, number>>;
}

/** CRC-32C, bit by bit, and masked as TFRecord has it. */
function maskedChecksum(bytes: Uint8Array): number {
  let crc = 0xffffffffn;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ 0x82f63b78n : crc >> 1n;
  }
  crc ^= 0xffffffffn;
  return Number((((crc >> 15n) | (crc << 17n)) + 0xa282ead8n) & 0xffffffffn);
}

/** The fields of a message, by number: integers, or the bytes of all other types. */
function fields(bytes: Buffer): { number: number; value: number | Buffer }[] {
  const found: { number: number; value: number | Buffer }[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte % 128) * scale;
      if (byte < 128) return value;
    }
  };
  const take = (length: number): Buffer => {
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const type = tag % 8;
    const value = type === 0 ? varint() : take(type === 1 ? 8 : type === 5 ? 4 : varint());
    found.push({ number: Math.floor(tag / 8), value });
  }
  return found;
}

function event(data: Buffer): ReadEvent {
  const of = Object.fromEntries(fields(data).map(({ number, value }) => [number, value])) as Record<number, Buffer>;
  const values = of[5] === undefined ? [] : fields(of[5]).map(({ value }) => fields(value as Buffer));
  return {
    wallTime: of[1]!.readDoubleLE(),
    step: of[2] as unknown as number,
    ...(of[3] && { version: of[3].toString() }),
    ...(of[7] && { session: fields(of[7])[0]!.value as number }),
    values: Object.fromEntries(
      values.map(([tag, value]) => [String(tag!.value), (value!.value as Buffer).readFloatLE()]),
    ),
  };
}

/** The events of a file. @throws Error for a wrong checksum, or a record that is cut */
export function readEvents(path: string): ReadEvent[] {
  const bytes = readFileSync(path);
  const events: ReadEvent[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    if (bytes.readUInt32LE(at + 8) !== maskedChecksum(bytes.subarray(at, at + 8))) throw new Error(`${at}: length`);
    const data = bytes.subarray(at + 12, at + 12 + length);
    if (bytes.readUInt32LE(at + 12 + length) !== maskedChecksum(data)) throw new Error(`${at}: data`);
    events.push(event(data));
    at += 16 + length;
  }
  return events;
}

/** The events of all files of a folder, in the order in which TensorBoard reads them. */
export function eventsIn(folder: string): ReadEvent[] {
  const names = readdirSync(folder).filter((name) => name.startsWith("events.out.tfevents."));
  return names.sort().flatMap((name) => readEvents(join(folder, name)));
}
