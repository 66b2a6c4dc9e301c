/** What the header of a Linux library says, to tell a damaged or foreign file before it is opened. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** `process.arch` by the machine number of ELF headers. */
const architectures: ReadonlyMap<number, string> = new Map([
  [3, "ia32"],
  [21, "ppc64"],
  [22, "s390x"],
  [40, "arm"],
  [62, "x64"],
  [183, "arm64"],
  [243, "riscv64"],
  [258, "loong64"],
]);

/** The architecture that a library was compiled for, as `process.arch` names it. @throws Error which says what is wrong */
export function libraryArchitecture(path: string): string {
  const file = openSync(path, "r");
  try {
    const header = Buffer.alloc(64);
    if (readSync(file, header, 0, 64, 0) < 64 || header.readUInt32BE(0) !== 0x7f454c46) {
      throw new Error("it is not a Linux library");
    }
    const little = header[5] === 1;
    const u16 = (at: number) => (little ? header.readUInt16LE(at) : header.readUInt16BE(at));
    // Of 64-bit files: the table of sections is the last thing in them.
    if (header[4] === 2 && little) {
      const end = Number(header.readBigUInt64LE(40)) + u16(58) * u16(60);
      const { size } = fstatSync(file);
      if (size < end) throw new Error(`it ends after ${size} of ${end} bytes`);
    }
    const machine = u16(18);
    return architectures.get(machine) ?? `ELF machine ${machine}`;
  } finally {
    closeSync(file);
  }
}
