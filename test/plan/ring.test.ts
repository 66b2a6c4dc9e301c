/** Collectives on a ring, by hand. */
import { describe, expect, it } from "@jest/globals";
import { findGpu, gpuNamed, gpuNames } from "../../lib/plan/gpus.js";
import { collectiveSeconds, ringOf, sentBytes } from "../../lib/plan/ring.js";

const h100 = gpuNamed("h100");

describe("ringOf", () => {
  it("takes a node's own links where there is one node", () => {
    const ring = ringOf({ gpu: h100, gpus: 8, gpusPerNode: 8, netBytesPerSecond: null });
    expect(ring).toMatchObject({ gpus: 8, limitedBy: "NVLink" });
    expect(ring.bytesPerSecond).toBeCloseTo(0.8 * 450e9);
    // A call, and seven hops over NVLink.
    expect(ring.latencySeconds).toBeCloseTo(8.4e-6 + 7 * 3.4e-6, 12);
  });

  it("takes the network cards of a node together where there are several", () => {
    const ring = ringOf({ gpu: h100, gpus: 64, gpusPerNode: 8, netBytesPerSecond: 50e9 });
    expect(ring.limitedBy).toBe("network");
    expect(ring.bytesPerSecond).toBeCloseTo(0.8 * 8 * 50e9);
    // Seven hops lead from node to node, the other 56 do not.
    expect(ring.latencySeconds).toBeCloseTo(8.4e-6 + 56 * 3.4e-6 + 7 * 14e-6, 12);
  });

  it("is limited by what is slower", () => {
    const fast = ringOf({ gpu: h100, gpus: 16, gpusPerNode: 8, netBytesPerSecond: 100e9 });
    expect(fast).toMatchObject({ limitedBy: "NVLink", bytesPerSecond: 0.8 * 450e9 });
    const alone = ringOf({ gpu: gpuNamed("4090"), gpus: 4, gpusPerNode: 1, netBytesPerSecond: 50e9 });
    expect(alone).toMatchObject({ limitedBy: "network", bytesPerSecond: 0.8 * 50e9 });
    const pcie = ringOf({ gpu: gpuNamed("l40s"), gpus: 4, gpusPerNode: 4, netBytesPerSecond: null });
    expect(pcie).toMatchObject({ limitedBy: "PCIe", bytesPerSecond: 0.8 * 32e9 });
  });
});

describe("collectiveSeconds", () => {
  const ring = { gpus: 4, bytesPerSecond: 1e9, limitedBy: "NVLink", latencySeconds: 0.25 } as const;

  it("sends three quarters of the bytes among four", () => {
    expect(sentBytes(ring, 4e9)).toBe(3e9);
    expect(collectiveSeconds(ring, 4e9)).toBe(3.25);
  });

  it("takes nothing on one GPU", () => {
    expect(collectiveSeconds({ ...ring, gpus: 1 }, 4e9)).toBe(0);
  });
});

describe("GPUs", () => {
  it("have the peaks of their data sheets", () => {
    const peaks = gpuNames.map((name) => gpuNamed(name).peakFlops / 1e12);
    expect(peaks).toEqual([312, 989, 989, 2250, 362, 165]);
  });

  it("are found by any case, and the nearest is named", () => {
    expect(findGpu("H100").name).toBe("h100");
    expect(findGpu("h10")).toEqual({ name: null, hint: "; did you mean h100?" });
    expect(findGpu("tpu-v5e")).toEqual({ name: null, hint: "" });
  });
});
