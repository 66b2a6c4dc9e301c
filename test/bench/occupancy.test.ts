import { describe, expect, it } from "@jest/globals";
import { type KernelTile, kernelTiles, parseTiles, residentWarps } from "../../bench/occupancy/occupancy.js";
import { limits } from "../../lib/limits.js";

const tile = (changes: Partial<KernelTile>): KernelTile => ({
  kernel: "attention_forward_kernel<64, 0>",
  capability: "8.6",
  warps: 4,
  sharedBytes: 40960,
  multiprocessorBytes: 102_400,
  ...changes,
});

describe("residentWarps", () => {
  it("is bound by shared memory, with what every block takes for itself", () => {
    expect(residentWarps(tile({}), 128)).toBe(8);
    // Two blocks of 50 KiB and the reserved one fit 100 KiB no more.
    expect(residentWarps(tile({ sharedBytes: 51_200 }), 128)).toBe(4);
    expect(residentWarps(tile({ sharedBytes: 50_176 }), 128)).toBe(8);
  });

  it("is bound by registers, which a warp takes in units of 256 from a quarter of the multiprocessor", () => {
    const roomy = { multiprocessorBytes: 233_472 };
    // 168 registers are 5376 a warp, three to a quarter; 169 are 5632, two.
    expect(residentWarps(tile(roomy), 168)).toBe(12);
    expect(residentWarps(tile(roomy), 169)).toBe(8);
    expect(residentWarps(tile({ ...roomy, warps: 8 }), 255)).toBe(8);
  });
});

describe("the tiles", () => {
  const tiles = kernelTiles();

  it("are there for every head dimension, kernel and capability", () => {
    expect(tiles).toHaveLength(limits.headDims.length * 3 * 4);
    for (const size of limits.headDims)
      expect(tiles.filter(({ kernel }) => new RegExp(`<${size}[,>]`).test(kernel))).toHaveLength(12);
  });

  it("leave room for eight warps of up to 255 registers, as far as shared memory decides", () => {
    // What a warpgroup's kernels may have of registers is less, and check:cuda counts it.
    const wide = tiles.filter(({ kernel }) => !kernel.includes("wgmma"));
    expect(wide.filter((each) => residentWarps(each, 255) < 8)).toEqual([]);
  });

  it("are parsed from lines", () => {
    expect(parseTiles("k<32, 1>\t8.0\t4\t100\t2000\n")).toEqual([
      { kernel: "k<32, 1>", capability: "8.0", warps: 4, sharedBytes: 100, multiprocessorBytes: 2000 },
    ]);
  });
});
