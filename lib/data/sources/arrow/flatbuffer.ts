/** Reads FlatBuffers, in which Arrow writes its metadata. A read beyond the buffer throws a RangeError. */

export class Table {
  constructor(
    private readonly view: DataView,
    private readonly at: number,
  ) {}

  /** The root table of a buffer. */
  static root(bytes: Uint8Array): Table {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new Table(view, view.getUint32(0, true));
  }

  byte(field: number): number {
    const at = this.#find(field);
    return at === 0 ? 0 : this.view.getUint8(at);
  }

  short(field: number): number {
    const at = this.#find(field);
    return at === 0 ? 0 : this.view.getInt16(at, true);
  }

  int(field: number): number {
    const at = this.#find(field);
    return at === 0 ? 0 : this.view.getInt32(at, true);
  }

  long(field: number): number {
    const at = this.#find(field);
    return at === 0 ? 0 : this.#long(at);
  }

  string(field: number): string {
    const at = this.#follow(field);
    if (at === 0) return "";
    const { buffer, byteOffset } = this.view;
    return Buffer.from(buffer, byteOffset + at + 4, this.view.getUint32(at, true)).toString("utf8");
  }

  table(field: number): Table | undefined {
    const at = this.#follow(field);
    return at === 0 ? undefined : new Table(this.view, at);
  }

  tables(field: number): Table[] {
    const at = this.#follow(field);
    return Array.from({ length: this.#count(at) }, (_, i) => {
      const entry = at + 4 + 4 * i;
      return new Table(this.view, entry + this.view.getUint32(entry, true));
    });
  }

  /** A vector of structs of `width` 64-bit numbers, or of such numbers. */
  longs(field: number, width: number): number[] {
    const at = this.#follow(field);
    return Array.from({ length: this.#count(at) * width }, (_, i) => this.#long(at + 4 + 8 * i));
  }

  /** Entries of a vector, each of at least 4 bytes. */
  #count(at: number): number {
    if (at === 0) return 0;
    const count = this.view.getUint32(at, true);
    if (4 * count > this.view.byteLength) throw new RangeError("a vector that is longer than its message");
    return count;
  }

  #long(at: number): number {
    return Number(this.view.getBigInt64(at, true));
  }

  /** Where a field is, or 0 if it is left out. */
  #find(field: number): number {
    const vtable = this.at - this.view.getInt32(this.at, true);
    const entry = 4 + 2 * field;
    const offset = entry < this.view.getUint16(vtable, true) ? this.view.getUint16(vtable + entry, true) : 0;
    return offset === 0 ? 0 : this.at + offset;
  }

  #follow(field: number): number {
    const at = this.#find(field);
    return at === 0 ? 0 : at + this.view.getUint32(at, true);
  }
}
