/** Memory that begins at a page, which writing past the page cache asks for. */

// TypeScript knows it as a part of browsers alone.
declare const WebAssembly: { readonly Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer } };

/** What the addresses, places and sizes of direct writes are multiples of: enough for every disk. */
export const ALIGNMENT = 4096;

/** Blocks that nobody uses now. */
const idle: Uint8Array[] = [];

/** The size of a block: large enough that a disk's latency does not count. A multiple of WebAssembly's pages. */
export const BLOCK_BYTES = 2 ** 22;

/** Takes a block; null: there is no aligned memory to be had. */
export function takeBlock(): Uint8Array | null {
  const block = idle.pop();
  if (block !== undefined) return block;
  try {
    // WebAssembly's memories begin at a page; nothing else in JavaScript promises it.
    return new Uint8Array(new WebAssembly.Memory({ initial: BLOCK_BYTES / 2 ** 16 }).buffer);
  } catch {
    return null; // where the address space is limited
  }
}

/** Gives a block back. */
export function giveBlock(block: Uint8Array): void {
  idle.push(block);
}
