/** The values of a column of strings or bytes, from its buffers. */
import { type Field, TYPE } from "./schema.js";

/** Whether value `index` is there; without a buffer all are. */
export function isValid(validity: Uint8Array, index: number): boolean {
  return validity.length === 0 || ((validity[index >> 3]! >> (index & 7)) & 1) === 1;
}

export function isView({ type }: Field): boolean {
  return type === TYPE.utf8View || type === TYPE.binaryView;
}

/** Where the values of a column with offsets begin and end in its data. */
export function offsetsOf({ type }: Field, bytes: Uint8Array, count: number): (index: number) => number {
  const view = viewOf(bytes);
  const isLarge = type === TYPE.largeUtf8 || type === TYPE.largeBinary;
  if (count > 0 && bytes.length < (count + 1) * (isLarge ? 8 : 4)) throw new Error("offsets that are cut short");
  return isLarge ? (i) => Number(view.getBigInt64(8 * i, true)) : (i) => view.getInt32(4 * i, true);
}

/** A value of a view column: short ones are in the view itself. */
export function viewAt(views: Uint8Array, index: number, data: readonly Uint8Array[]): Uint8Array {
  const view = viewOf(views);
  const at = 16 * index;
  const length = view.getInt32(at, true);
  if (length < 0) throw new Error("a negative length");
  if (length <= 12) return views.subarray(at + 4, at + 4 + length);
  const buffer = data[view.getInt32(at + 8, true)];
  const from = view.getInt32(at + 12, true);
  if (buffer === undefined || from < 0 || from + length > buffer.length) throw new Error("a view of what is not there");
  return buffer.subarray(from, from + length);
}

/** Reads the numbers of dictionary entries. */
export function indicesOf(field: NonNullable<Field["dictionary"]>, bytes: Uint8Array): (index: number) => number {
  const view = viewOf(bytes);
  const { indexBytes, isSigned } = field;
  if (indexBytes === 8) return (i) => Number(view.getBigInt64(8 * i, true));
  if (indexBytes === 4) return (i) => (isSigned ? view.getInt32(4 * i, true) : view.getUint32(4 * i, true));
  if (indexBytes === 2) return (i) => (isSigned ? view.getInt16(2 * i, true) : view.getUint16(2 * i, true));
  return (i) => (isSigned ? view.getInt8(i) : view.getUint8(i));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
